-- What a profile earned and what is left of it, soonest to expire first.
SELECT lot.earned_at, event.action, lot.points, lot.remaining, lot.due_on AS expires_on
FROM loyalty.lot JOIN loyalty.event ON event.profile_id = lot.profile_id AND event.key = lot.key
WHERE lot.profile_id = :profile_id
ORDER BY lot.due_on NULLS LAST, lot.earned_at, lot.key
