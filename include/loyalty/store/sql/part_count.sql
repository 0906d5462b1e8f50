-- How many partitions the events lie in.
SELECT count(*) FROM pg_partition_tree('loyalty.event') WHERE isleaf
