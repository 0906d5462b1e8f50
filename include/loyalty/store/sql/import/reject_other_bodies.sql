-- The same event_id with another body than in the ledger, which stays as it is. A twin goes the way of its first row.
UPDATE import_event AS e SET reason = format('event_id %s is known with another body: here %s, in the ledger %s', to_json(e.event_id),
    jsonb_build_object('action', e.action, 'occurred_at', e.occurred_at, 'params', e.params, 'source', e.source),
    jsonb_build_object('action', known.action, 'occurred_at', known.occurred_at, 'params', known.params, 'source', known.source))
FROM import_there AS there, import_profile AS profile, loyalty.event AS known
WHERE there.row_number = e.row_number AND e.event_id IS NOT NULL AND e.reason IS NULL
  AND profile.customer_id = e.customer_id AND known.profile_id = profile.profile_id AND known.key = e.key
  AND (e.action, e.occurred_at, e.params, e.source) IS DISTINCT FROM (known.action, known.occurred_at, known.params, known.source)
