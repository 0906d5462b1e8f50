SELECT loyalty.note_members(:run_id)
