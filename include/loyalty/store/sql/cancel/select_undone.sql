-- Everybody from whom the run took points is to have them back; those left for a lock are taken up again.
INSERT INTO loyalty.journey_member (run_id, profile_id, approved)
SELECT :run_id, profile_id, points FROM loyalty.journey_member WHERE run_id = :undone AND points > 0
ON CONFLICT (run_id, profile_id) DO UPDATE SET state = 'selected', reason = NULL, detail = NULL, finished_at = NULL
WHERE journey_member.reason = 'balance_locked'
