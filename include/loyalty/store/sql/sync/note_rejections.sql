-- What was refused is kept with its reason; what is an event by now is refused no more.
WITH gone AS (
    DELETE FROM loyalty.sync_rejection AS known USING import_event AS e
    WHERE known.source = :source AND known.event_id = e.event_id AND e.reason IS NULL
)
INSERT INTO loyalty.sync_rejection AS known (source, event_id, reason, row)
SELECT DISTINCT ON (coalesce(e.event_id, '')) :source, coalesce(e.event_id, ''), e.reason, jsonb_strip_nulls(jsonb_build_object(
    'customer_id', e.customer_id, 'action', e.action, 'occurred_at', e.occurred_at, 'params', e.params))
FROM import_event AS e WHERE e.reason IS NOT NULL
ORDER BY coalesce(e.event_id, ''), e.row_number
ON CONFLICT (source, event_id) DO UPDATE SET reason = excluded.reason, row = excluded.row, last_seen_at = clock_timestamp()
