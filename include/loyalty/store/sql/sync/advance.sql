UPDATE loyalty.event_source SET watermark = :watermark, stored = stored + :stored, synced_at = clock_timestamp() WHERE source = :source
