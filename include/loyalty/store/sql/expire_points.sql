-- Every account of the batch is settled: what its midnights demand up to the horizon is what is recorded for them.
-- The horizon is the run's own midnight, or a later one that is settled already, for the program or for this account.
-- The accounts were locked by an earlier statement of this transaction, so that this one sees what their lockers wrote.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now, greatest(run.business_date, program.settled_through) AS horizon
    FROM loyalty.journey_run AS run CROSS JOIN loyalty.program WHERE run.run_id = :run_id
), due AS MATERIALIZED (
    -- The first midnight whose shortfall has not been told: whoever was locked at a midnight still waits for it.
    SELECT profile_id, CASE WHEN account.settle_on > date '0001-01-01' THEN account.settle_on
                            WHEN account.settle_on IS NOT NULL THEN program.settled_through + 1 END AS untold_from
    FROM batch JOIN loyalty.account USING (profile_id) CROSS JOIN loyalty.program
), night AS MATERIALIZED (
    SELECT s.profile_id, s.midnight, s.demanded, s.recorded, s.entry_count, s.unspent,
           s.demanded - coalesce(lag(s.demanded) OVER nights, 0) - s.recorded AS points,
           greatest(clock.horizon,
                    max(s.midnight) FILTER (WHERE s.entry_count > 0) OVER (PARTITION BY s.profile_id)) AS horizon
    FROM loyalty.settlement((SELECT array_agg(profile_id) FROM batch)) AS s CROSS JOIN clock
    WINDOW nights AS (PARTITION BY s.profile_id ORDER BY s.midnight)
), written AS (
    INSERT INTO loyalty.event (profile_id, key, action, occurred_at, points, params, refers_to, run_id, source, recorded_at)
    SELECT night.profile_id, loyalty.settlement_key(night.profile_id, night.midnight, night.entry_count + 1),
           CASE WHEN night.points > 0 THEN 'points.expire' ELSE 'points.restore' END,
           loyalty.midnight(night.midnight, program.timezone), -night.points,
           jsonb_build_object('points', abs(night.points), 'midnight', night.midnight),
           CASE WHEN night.points < 0 THEN loyalty.settlement_key(night.profile_id, night.midnight, 1) END,
           :run_id, 'rolling_expiry', clock.now
    FROM night CROSS JOIN loyalty.program CROSS JOIN clock
    WHERE night.midnight <= night.horizon AND night.points <> 0
    ORDER BY night.profile_id, night.midnight
    RETURNING profile_id, -points AS points
), taken AS (
    SELECT profile_id, sum(points) AS points FROM written GROUP BY profile_id
), outlook AS (
    SELECT night.profile_id,
           coalesce(max(night.demanded) FILTER (WHERE night.midnight <= night.horizon), 0) AS demanded,
           greatest(0, max(night.unspent - night.demanded) FILTER (
               WHERE night.midnight BETWEEN due.untold_from AND night.horizon)) AS shortfall
    FROM night JOIN due USING (profile_id) GROUP BY night.profile_id
), ahead AS (
    SELECT night.profile_id, min(night.midnight) AS settle_on
    FROM night JOIN outlook USING (profile_id)
    WHERE night.midnight > night.horizon AND night.demanded > outlook.demanded
    GROUP BY night.profile_id
), settled AS (
    UPDATE loyalty.account SET settle_on = ahead.settle_on
    FROM batch LEFT JOIN ahead USING (profile_id) WHERE account.profile_id = batch.profile_id
), done AS (
    UPDATE loyalty.journey_member AS member
    SET state = 'completed', finished_at = clock.now,
        points = member.points + coalesce(taken.points, 0), shortfall = greatest(member.shortfall, outlook.shortfall)
    FROM clock, batch LEFT JOIN taken USING (profile_id) LEFT JOIN outlook USING (profile_id)
    WHERE member.run_id = :run_id AND member.profile_id = batch.profile_id
    RETURNING coalesce(taken.points, 0) AS points
)
SELECT count(*) AS member_count, coalesce(sum(points), 0)::bigint AS points FROM done
