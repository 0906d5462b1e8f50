-- What the run took from each of the batch is back, once: whoever has it already has failed. The accounts were locked by an
-- earlier statement of this transaction, so that this one sees what their lockers wrote.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), owed AS MATERIALIZED (
    SELECT taken.profile_id, taken.key, -taken.points AS points, back.key IS NOT NULL AS is_back
    FROM batch
    JOIN loyalty.journey_member AS waiting
        ON waiting.run_id = :run_id AND waiting.profile_id = batch.profile_id AND waiting.state = 'selected'
        AND waiting.profile_id BETWEEN (SELECT min(profile_id) FROM batch) AND (SELECT max(profile_id) FROM batch)
    JOIN loyalty.event AS taken ON taken.profile_id = batch.profile_id AND taken.key = loyalty.cancel_key(:undone, batch.profile_id)
    LEFT JOIN loyalty.event AS back ON back.profile_id = taken.profile_id AND back.key = loyalty.restore_key(taken.key)
), written AS (
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, run_id, source, recorded_at)
    SELECT profile_id, loyalty.restore_key(key), 'points.restore', clock.now, points, jsonb_build_object('points', points), key,
           :run_id, 'undo_journey', clock.now
    FROM owed CROSS JOIN clock WHERE NOT is_back ORDER BY profile_id
), done AS (
    UPDATE loyalty.journey_member AS member
    SET state = CASE WHEN owed.is_back THEN 'failed' ELSE 'completed' END,
        reason = CASE WHEN owed.is_back THEN 'already_restored' END,
        points = CASE WHEN owed.is_back THEN 0 ELSE -owed.points END, finished_at = clock.now
    FROM owed CROSS JOIN clock WHERE member.run_id = :run_id AND member.profile_id = owed.profile_id
)
SELECT count(*) FILTER (WHERE NOT is_back) AS member_count, coalesce(sum(points) FILTER (WHERE NOT is_back), 0)::bigint AS points
FROM owed
