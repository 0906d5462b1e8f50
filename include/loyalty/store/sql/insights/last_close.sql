SELECT day, closing, closing * point_value AS money, currency, fingerprint FROM loyalty.daily_close ORDER BY day DESC LIMIT 1
