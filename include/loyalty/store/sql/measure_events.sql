SELECT loyalty.measure_events()
