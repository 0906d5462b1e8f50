-- Members from one of these countries have failed as excluded.
UPDATE loyalty.journey_member AS member
SET state = 'failed', reason = 'excluded', detail = 'country ' || (profile.attributes ->> 'country'), finished_at = clock_timestamp()
FROM loyalty.profile
WHERE member.run_id = :run_id AND member.state = 'selected' AND profile.profile_id = member.profile_id
  AND profile.attributes ->> 'country' = ANY (CAST(:countries AS text[]))
