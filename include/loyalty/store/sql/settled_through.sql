-- The horizon that the program has reached is at least this day.
UPDATE loyalty.program SET settled_through = greatest(settled_through, :day) WHERE settled_through < :day
