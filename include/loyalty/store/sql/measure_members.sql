-- In a transaction of its own: nobody else can measure them until it ends.
SELECT loyalty.measure_members(:run_id)
