SELECT loyalty.read_intake(:latest, :whole_objects, CAST(:taken AS text[]), CAST(:renamed AS jsonb), CAST(:fixed AS jsonb))
