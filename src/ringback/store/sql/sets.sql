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

-- name: end_all
-- `finish` for many at once, of whose rows the claim has said all that deliveries need. Each row is a JSON array: the
-- workload, the attempt's number, how often it had been told of, when it ended, the status, where the result begins and
-- how long it is, and the error's type and message.
UPDATE workloads
SET status = one.status, result = one.result, error_type = one.error_type, error_message = one.error_message,
    finished_at = one.finished_at, holder = NULL, fraction = NULL, message = NULL, told = one.told + 1
FROM (
    SELECT json_extract(value, '$[0]') AS seq, json_extract(value, '$[1]') AS attempt,
           json_extract(value, '$[2]') AS told, json_extract(value, '$[3]') AS finished_at,
           json_extract(value, '$[4]') AS status,
           substr(:laid, json_extract(value, '$[5]'), json_extract(value, '$[6]')) AS result,
           json_extract(value, '$[7]') AS error_type, json_extract(value, '$[8]') AS error_message
    FROM json_each(:rows)
) AS one
WHERE workloads.seq = one.seq AND workloads.attempt = one.attempt AND workloads.status = 'in_progress'
  AND workloads.holder = :member AND workloads.cancel_at IS NULL AND workloads.told = one.told
  AND EXISTS (SELECT 1 FROM members WHERE id = :member);

-- name: insert_told
-- `insert_delivery` for many at once, none of which waits for another. Each row: the workload, the endpoint, its URL, the
-- message, the event, when it is due, whether it is in this member's hands, when it was made, where the body begins and
-- how long it is, its format, and the event's place among those of its workload.
INSERT INTO deliveries (workload, endpoint, url, message_id, event, state, due_at, holder, created_at, body, format,
                        sequence)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
       json_extract(value, '$[3]'), json_extract(value, '$[4]'), 'pending', json_extract(value, '$[5]'),
       CASE WHEN json_extract(value, '$[6]') THEN :member END, json_extract(value, '$[7]'),
       substr(:laid, json_extract(value, '$[8]'), json_extract(value, '$[9]')), json_extract(value, '$[10]'),
       json_extract(value, '$[11]')
FROM json_each(:rows)
ORDER BY key;
