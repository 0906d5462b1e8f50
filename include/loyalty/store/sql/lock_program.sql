-- One applies at a time, and no event is booked by half of the old and half of the new settings.
LOCK TABLE loyalty.program, loyalty.action IN SHARE ROW EXCLUSIVE MODE
