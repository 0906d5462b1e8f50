-- What each member of the batch is to lose, and what keeps it from that. The amount is what the balance is now, less what
-- came in since the freeze (other than returns) and less what was earned in the spared time before: what was approved, where
-- the account is as the freeze saw it. The accounts were locked by an earlier statement of this transaction, so that this
-- one sees what their lockers wrote.
WITH clock AS MATERIALIZED (
    SELECT clock_timestamp() AS now
), held AS MATERIALIZED (
    SELECT member.profile_id, member.approved, member.locked_at, account.balance, account.lock_run_id, account.lock_expires_at,
           -- Numbers of transactions count within one server: those of another one, restored here, are not trusted.
           coalesce(pg_visible_in_snapshot(account.booked_by, run.frozen_snapshot) AND account.latest_at < run.as_of
                    AND pg_snapshot_xmax(run.frozen_snapshot) <= pg_current_xact_id(), false) AS is_as_frozen
    FROM batch
    -- The bounds of the range keep whoever plans this from reading all members of the run, or all accounts.
    JOIN loyalty.journey_member AS member ON member.run_id = :run_id AND member.profile_id = batch.profile_id
        AND member.profile_id > :after AND member.profile_id <= :bound
    JOIN loyalty.account ON account.profile_id = batch.profile_id AND account.profile_id > :after AND account.profile_id <= :bound
    JOIN loyalty.journey_run AS run ON run.run_id = :run_id
), kept AS MATERIALIZED (
    SELECT held.*,
           coalesce(sum(e.points) FILTER (WHERE e.effect <> 'return' AND (e.is_news OR (e.effect = 'earn' AND e.occurred_at >= run.spared_from))), 0)
               AS spared,
           coalesce(sum(e.points) FILTER (WHERE e.effect = 'return' AND e.is_news), 0) AS came_back,
           coalesce(sum(e.points) FILTER (WHERE e.effect = 'return' AND e.recorded_at > held.locked_at), 0) AS returned
    FROM held
    JOIN loyalty.journey_run AS run ON run.run_id = :run_id
    -- OFFSET 0 keeps it one look-up for each profile, in its partition.
    LEFT JOIN LATERAL (
        SELECT event.points, action.effect, event.occurred_at, event.recorded_at,
               event.occurred_at >= run.as_of OR event.recorded_at >= run.frozen_at AS is_news
        FROM loyalty.event JOIN loyalty.action USING (action)
        WHERE event.profile_id = held.profile_id AND event.points > 0 OFFSET 0) AS e ON true
    WHERE NOT held.is_as_frozen
    GROUP BY held.profile_id, held.approved, held.locked_at, held.balance, held.lock_run_id, held.lock_expires_at, held.is_as_frozen
), due AS (
    -- Not a join of both: nothing tells the planner how many they are.
    SELECT profile_id, approved, balance, lock_run_id, lock_expires_at, 0 AS came_back, 0 AS returned, approved AS amount
    FROM held WHERE is_as_frozen
    UNION ALL
    SELECT profile_id, approved, balance, lock_run_id, lock_expires_at, came_back, returned, greatest(0, balance - spared)::bigint
    FROM kept
)
INSERT INTO weighed (profile_id, at, balance, returned, amount, fault)
SELECT due.profile_id, clock.now, due.balance, due.returned, due.amount,
       CASE WHEN due.lock_run_id IS DISTINCT FROM :run_id OR due.lock_expires_at <= clock.now THEN 'lock_expired'
            WHEN due.amount > due.approved + due.came_back THEN 'amount_grew' END
FROM due CROSS JOIN clock
