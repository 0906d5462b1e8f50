-- Whoever holds points that expire on a day that a stage has come to is warned of it, once for each day and stage: a
-- message a customer and stage, for all its days. A day that several stages have come to is the nearest stage's.
WITH stage AS (
    SELECT days FROM unnest(CAST(:stages AS integer[])) AS stage(days)
), threatened AS MATERIALIZED (
    SELECT lot.profile_id, lot.due_on, sum(lot.remaining)::bigint AS points
    FROM loyalty.account CROSS JOIN LATERAL (
        SELECT * FROM loyalty.lot WHERE lot.profile_id = account.profile_id AND lot.remaining > 0 OFFSET 0) AS lot
    WHERE account.settle_on <= CAST(:today AS date) + (SELECT max(days) FROM stage)
      AND lot.due_on > CAST(:today AS date) AND lot.due_on <= CAST(:today AS date) + (SELECT max(days) FROM stage)
    GROUP BY 1, 2
), warned AS (
    SELECT threatened.*, (SELECT min(days) FROM stage WHERE threatened.due_on <= CAST(:today AS date) + days) AS stage
    FROM threatened
), noted AS (
    INSERT INTO loyalty.reminder (profile_id, due_on, stage, points, email_key)
    SELECT profile_id, due_on, stage, points, md5('reminder:' || CAST(:campaign AS text) || ':' || CAST(:run_id AS bigint) || ':' || stage || ':' || profile_id || ':' || now())::uuid
    FROM warned
    ORDER BY profile_id, due_on
    ON CONFLICT (profile_id, due_on, stage) DO NOTHING
    RETURNING profile_id, due_on, stage, points, email_key
), letter AS (
    SELECT profile_id, email_key, stage, sum(points)::bigint AS points FROM noted GROUP BY profile_id, email_key, stage
), written AS (
    INSERT INTO loyalty.email (profile_id, key, campaign, run_id, stage, points, address, state, reason, ended_at)
    SELECT letter.profile_id, letter.email_key, :campaign, :run_id, letter.stage, letter.points, reach.address,
           CASE WHEN reach.fault IS NULL THEN 'queued' ELSE 'skipped' END, reach.fault,
           CASE WHEN reach.fault IS NOT NULL THEN clock_timestamp() END
    FROM letter JOIN loyalty.profile USING (profile_id)
    CROSS JOIN LATERAL loyalty.reach(profile.attributes, CAST(:address AS text), CAST(:consent AS text)) AS reach
    ORDER BY letter.profile_id
    RETURNING points
)
SELECT count(*) AS messages, coalesce(sum(points), 0)::bigint AS points FROM written
