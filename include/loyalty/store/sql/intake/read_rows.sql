SELECT loyalty.read_intake(:now)
