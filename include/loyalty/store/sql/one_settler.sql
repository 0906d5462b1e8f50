-- Two settlers of one range would be harmless; this only spares the second the work that the first is doing.
SELECT pg_advisory_xact_lock(hashtext('loyalty.settle'), :part)
