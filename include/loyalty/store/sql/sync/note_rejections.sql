-- What was refused is kept with its reason; what is an event by now is refused no more.
WITH gone AS (
    DELETE FROM loyalty.sync_rejection AS known USING intake_event AS e
    WHERE known.source = :source AND known.event_id = e.event_id AND e.reason IS NULL
)
INSERT INTO loyalty.sync_rejection AS known (source, event_id, reason, row)
SELECT DISTINCT ON (named.name) :source, named.name, e.reason, jsonb_strip_nulls(jsonb_build_object(
    'customer_id', e.customer_id, 'action', e.action, 'occurred_at', e.occurred_at, 'params', e.params))
FROM intake_event AS e
CROSS JOIN LATERAL (
    SELECT coalesce(e.event_id, 'a row without a name, ' || md5(concat_ws(' ', e.customer_id, e.occurred_at, e.params))) AS name) AS named
WHERE e.reason IS NOT NULL
ORDER BY named.name, e.row_number
ON CONFLICT (source, event_id) DO UPDATE SET reason = excluded.reason, row = excluded.row, last_seen_at = clock_timestamp()
