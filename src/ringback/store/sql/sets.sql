-- name: settle_arrived
-- `settle_held` for many at once that have arrived. Each row is a JSON array; what stands in it is said once, here:
-- the delivery, the attempt's number, when it was settled, when it was begun, how long it took in microseconds,
-- status, address, and the microseconds of name, connection, waiting and reading.
UPDATE deliveries
SET state = 'delivered', tries = one.number, settled_at = one.settled_at, reason = NULL, holder = NULL
FROM (
    SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS number,
           json_extract(value, '$[2]') AS settled_at
    FROM json_each(:rows)
) AS one
WHERE deliveries.seq = one.seq AND holder = :member AND state = 'pending' AND tries = one.number - 1;

-- name: insert_arrived
-- `insert_attempt` for the same rows: of an attempt that arrived there is nothing else to say.
INSERT INTO attempts (delivery, number, started_at, duration_us, outcome, status, address,
                      dns_us, connect_us, wait_us, read_us)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[3]'),
       json_extract(value, '$[4]'), 'ok', json_extract(value, '$[5]'), json_extract(value, '$[6]'),
       json_extract(value, '$[7]'), json_extract(value, '$[8]'), json_extract(value, '$[9]'),
       json_extract(value, '$[10]')
FROM json_each(:rows)
WHERE TRUE
ON CONFLICT DO NOTHING;
