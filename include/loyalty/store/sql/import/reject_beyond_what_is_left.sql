-- Per earning of which more would be reversed than is left of it (its points, corrected, less earlier reversals): the latest
-- reversals of this file.
WITH pending AS (
    SELECT e.row_number, e.customer_id, e.effect, e.occurred_at, e.points, e.key, e.refers_to
    FROM import_event AS e
    WHERE e.reason IS NULL AND e.points <> 0
      AND NOT EXISTS (SELECT FROM import_there AS there WHERE there.row_number = e.row_number)
), taken AS (
    SELECT pending.*, profile.profile_id, sum(pending.points) OVER (
        PARTITION BY pending.customer_id, pending.refers_to ORDER BY pending.occurred_at, pending.row_number) AS running
    FROM pending JOIN import_profile AS profile USING (customer_id) WHERE pending.effect = 'reverse'
), told AS (
    SELECT taken.row_number, coalesce(filed.points, 0) + coalesce(known.points, 0) + taken.running AS left_over
    FROM taken
    LEFT JOIN (
        SELECT customer_id, CASE effect WHEN 'adjust' THEN refers_to ELSE key END AS earning, sum(points) AS points
        FROM pending WHERE effect = 'earn' OR (effect = 'adjust' AND refers_to IS NOT NULL) GROUP BY 1, 2
    ) AS filed ON filed.customer_id = taken.customer_id AND filed.earning = taken.refers_to
    CROSS JOIN LATERAL (
        SELECT sum(p.points) AS points
        FROM loyalty.event AS p JOIN loyalty.action AS kind USING (action)
        WHERE p.profile_id = taken.profile_id
          AND (p.key = taken.refers_to OR (p.refers_to = taken.refers_to AND kind.effect IN ('reverse', 'adjust'))) OFFSET 0
    ) AS known
)
UPDATE import_event AS e SET reason = format('%s%s of customer %s: reverses %s, and takes %s more than is left of it', e.action, ' ' || to_json(e.event_id),
    to_json(e.customer_id), to_json(e.params ->> 'reverses'), -told.left_over)
FROM told WHERE told.row_number = e.row_number AND told.left_over < 0
