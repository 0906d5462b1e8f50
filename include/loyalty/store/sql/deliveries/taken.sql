WITH taken AS (
    DELETE FROM loyalty.delivery WHERE subscriber = :subscriber AND n = ANY (CAST(:numbers AS bigint[])) RETURNING n
)
UPDATE loyalty.subscriber SET delivered = delivered + (SELECT count(*) FROM taken), last_delivered_at = clock_timestamp()
WHERE subscriber = :subscriber
