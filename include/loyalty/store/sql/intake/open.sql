SELECT loyalty.open_intake()
