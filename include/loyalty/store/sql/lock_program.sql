-- No event is booked by half of the old and half of the new settings: whoever books reads this table first of all, so that
-- this waits for all that is being booked, and what comes later waits for this. Not for long: else a close of the books, which
-- reads it for minutes, would keep this waiting, and this everybody else.
LOCK TABLE loyalty.program IN ACCESS EXCLUSIVE MODE
