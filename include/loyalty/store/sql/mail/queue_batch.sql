-- What a campaign owes to the members of the batch that have just lost points; whoever wants none, or cannot be reached,
-- is passed over, and it is said why.
INSERT INTO loyalty.email (profile_id, key, campaign, run_id, points, address, state, reason, ended_at)
SELECT member.profile_id, loyalty.email_key(:campaign, :run_id, member.profile_id), :campaign, :run_id, member.points,
       reach.address, CASE WHEN reach.fault IS NULL THEN 'queued' ELSE 'skipped' END, reach.fault,
       CASE WHEN reach.fault IS NOT NULL THEN clock_timestamp() END
FROM batch
JOIN loyalty.journey_member AS member ON member.run_id = :run_id AND member.profile_id = batch.profile_id
    AND member.profile_id BETWEEN (SELECT min(profile_id) FROM batch) AND (SELECT max(profile_id) FROM batch)
JOIN loyalty.profile ON profile.profile_id = batch.profile_id
CROSS JOIN LATERAL loyalty.reach(profile.attributes, CAST(:address AS text), CAST(:consent AS text)) AS reach
WHERE member.state = 'completed' AND member.points > 0
ORDER BY member.profile_id
ON CONFLICT (profile_id, key) DO NOTHING
