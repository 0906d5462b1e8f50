-- Two readings of one source come one after the other.
INSERT INTO loyalty.event_source (source) VALUES (:source) ON CONFLICT (source) DO NOTHING
