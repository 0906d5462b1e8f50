ANALYZE weighed
