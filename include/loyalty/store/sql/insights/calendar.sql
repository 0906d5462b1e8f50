-- What will expire after a day, within so many days, by kind, as it was counted last.
SELECT due_on, action, points, counted_at FROM loyalty.expiry_calendar
WHERE due_on > :after AND due_on <= CAST(:after AS date) + CAST(:days AS integer)
ORDER BY due_on, action
