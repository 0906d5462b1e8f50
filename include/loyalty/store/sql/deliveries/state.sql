-- Each subscriber, and how many events it has, will have, and was not to be given.
SELECT subscriber.subscriber, subscriber.is_active, subscriber.delivered, subscriber.last_delivered_at,
       count(delivery.n) FILTER (WHERE NOT delivery.is_dead) AS waiting, count(delivery.n) FILTER (WHERE delivery.is_dead) AS dead,
       max(delivery.fault) FILTER (WHERE NOT delivery.is_dead AND delivery.attempts > 0) AS fault
FROM loyalty.subscriber LEFT JOIN loyalty.delivery USING (subscriber)
GROUP BY subscriber.subscriber ORDER BY subscriber.subscriber
