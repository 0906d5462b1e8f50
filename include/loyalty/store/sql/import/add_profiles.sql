-- In ascending order, so that two imports meet without a deadlock. A customer of whom the file tells nothing that could
-- be stored for a new one (only losses, only references) is not made.
INSERT INTO loyalty.profile (customer_id)
SELECT e.customer_id FROM import_event AS e CROSS JOIN loyalty.program
WHERE e.reason IS NULL AND NOT EXISTS (SELECT FROM loyalty.profile WHERE profile.customer_id = e.customer_id)
GROUP BY e.customer_id
HAVING bool_or(e.refers_to IS NULL) AND bool_or(e.points IS NULL OR e.points >= 0 OR program.allow_debt)
ORDER BY e.customer_id
ON CONFLICT (customer_id) DO NOTHING
