-- The next profiles with events that the earning rules have not seen, their accounts locked in ascending order.
INSERT INTO batch (profile_id)
SELECT profile_id FROM loyalty.account
WHERE award_from IS NOT NULL AND EXISTS (SELECT FROM loyalty.program)  -- before any account: see lock_program
ORDER BY profile_id
LIMIT :size
FOR NO KEY UPDATE
