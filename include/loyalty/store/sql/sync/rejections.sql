SELECT source, event_id, reason, row, first_seen_at, last_seen_at FROM loyalty.sync_rejection ORDER BY source, last_seen_at DESC, event_id
