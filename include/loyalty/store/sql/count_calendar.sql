SELECT loyalty.count_calendar()
