SELECT loyalty.fail_members(:run_id, CAST(:ids AS bigint[]), :reason) FROM loyalty.program
