SELECT chunk FROM loyalty.journey_chunk WHERE run_id = :run_id ORDER BY chunk
