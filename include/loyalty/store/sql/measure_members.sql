SELECT loyalty.measure_members(:run_id)
