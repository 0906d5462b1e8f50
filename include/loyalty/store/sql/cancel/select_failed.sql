-- The members of the first round that failed for a reason that may come again, with what was approved then.
INSERT INTO loyalty.journey_member (run_id, profile_id, approved)
SELECT :run_id, profile_id, approved FROM loyalty.journey_member
WHERE run_id = :audience_of AND state = 'failed' AND reason = ANY (CAST(:reasons AS text[]))
