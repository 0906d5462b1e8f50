SELECT loyalty.read_intake(:now, :whole_objects, CAST(:taken AS text[]), CAST(:renamed AS jsonb), CAST(:fixed AS jsonb))
