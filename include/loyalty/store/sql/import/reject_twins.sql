-- The same event_id with another body: the first row has it.
UPDATE import_event AS e SET reason = format('event_id %s is in row %s with another body: here %s, there %s', to_json(e.event_id), first.row_number,
    jsonb_build_object('action', e.action, 'occurred_at', e.occurred_at, 'params', e.params, 'source', e.source),
    jsonb_build_object('action', first.action, 'occurred_at', first.occurred_at, 'params', first.params, 'source', first.source))
FROM import_twin AS twin JOIN import_event AS first ON first.row_number = twin.first_row
WHERE twin.row_number = e.row_number AND e.event_id IS NOT NULL
  AND (e.action, e.occurred_at, e.params, e.source) IS DISTINCT FROM (first.action, first.occurred_at, first.params, first.source)
