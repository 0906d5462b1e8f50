-- What a point was worth when a day was closed.
SELECT point_value, currency FROM loyalty.daily_close WHERE day = :day
