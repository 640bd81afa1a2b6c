-- name: insert_delivery
INSERT INTO deliveries (workload, endpoint, url, message_id, event, state, due_at, holder, created_at, body, format,
                        sequence, order_key)
VALUES (:workload, :endpoint, :url, :message_id, :event, 'pending', :due_at, :holder, :now, :body, :format,
        :sequence, :order_key)
{returning_seq};

-- name: is_in_the_way
SELECT 1 FROM deliveries
WHERE endpoint = :endpoint AND order_key = :order_key AND state <> 'delivered'
LIMIT 1;

-- name: let_the_next_go
UPDATE deliveries SET due_at = :due_at
WHERE due_at = :never AND seq = (
    SELECT min(seq) FROM deliveries
    WHERE endpoint = :endpoint AND order_key = :order_key AND state <> 'delivered'
);

-- name: take_due
-- Ordered by the holder, too: not every planner sees that it is the same for all, and goes down the index.
WITH picked AS MATERIALIZED (
    SELECT seq FROM deliveries
    WHERE endpoint = :endpoint AND state = 'pending' AND holder IS NULL AND (tries > 0) = :again AND due_at <= :now
      AND EXISTS (SELECT 1 FROM members WHERE id = :member)
    ORDER BY holder, due_at, seq
    LIMIT :room {skip_locked}
)
UPDATE deliveries SET holder = :member
WHERE seq IN (SELECT seq FROM picked)
RETURNING seq, endpoint, message_id, event, body, tries, base, created_at, due_at, format, sequence, order_key,
          (SELECT api FROM workloads WHERE workloads.seq = deliveries.workload),
          (SELECT id FROM workloads WHERE workloads.seq = deliveries.workload),
          (SELECT trace_id FROM workloads WHERE workloads.seq = deliveries.workload);

-- name: next_due
SELECT due_at FROM deliveries
WHERE endpoint = :endpoint AND state = 'pending' AND holder IS NULL AND (tries > 0) = :again AND due_at > :now
  AND due_at < :never
ORDER BY holder, due_at
LIMIT 1;

-- name: settle_held
UPDATE deliveries
SET state = :state, tries = :number, settled_at = :settled_at, reason = :reason, holder = NULL
WHERE seq = :seq AND holder = :member AND state = 'pending' AND tries = :number - 1;

-- name: retry_held
UPDATE deliveries
SET tries = :number, due_at = :due_at, holder = NULL
WHERE seq = :seq AND holder = :member AND state = 'pending' AND tries = :number - 1;

-- name: settle_unheld
UPDATE deliveries
SET state = 'delivered', settled_at = :settled_at, reason = NULL, holder = NULL
WHERE seq = :seq AND state = 'pending';

-- name: read_delivery
SELECT tries, state FROM deliveries WHERE seq = :seq;

-- name: insert_attempt
INSERT INTO attempts (delivery, number, started_at, duration_us, outcome, status, detail, address,
                      dns_us, connect_us, wait_us, read_us, request_head, response_head, excerpt)
VALUES (:seq, :number, :started_at, :duration_us, :outcome, :status, :detail, :address,
        :dns_us, :connect_us, :wait_us, :read_us, :request_head, :response_head, :excerpt)
ON CONFLICT DO NOTHING;

-- name: append_attempt
INSERT INTO attempts (delivery, number, started_at, duration_us, outcome, status, detail, address,
                      dns_us, connect_us, wait_us, read_us, request_head, response_head, excerpt)
VALUES (:seq, (SELECT max(number) + 1 FROM attempts WHERE delivery = :seq), :started_at, :duration_us, :outcome,
        :status, :detail, :address, :dns_us, :connect_us, :wait_us, :read_us, :request_head, :response_head, :excerpt);

-- name: release
UPDATE deliveries SET holder = NULL WHERE seq = :seq AND holder = :member AND state = 'pending';

-- name: release_all
UPDATE deliveries SET holder = NULL WHERE holder = :member AND state = 'pending';

-- name: release_dead
UPDATE deliveries SET holder = NULL
WHERE state = 'pending' AND holder IS NOT NULL AND holder NOT IN (SELECT id FROM members);

-- name: replay
UPDATE deliveries
SET state = 'pending', base = tries, settled_at = NULL, reason = NULL,
    due_at = CASE WHEN order_key IS NOT NULL AND EXISTS (
        SELECT 1 FROM deliveries AS before
        WHERE before.endpoint = deliveries.endpoint AND before.order_key = deliveries.order_key
          AND before.state <> 'delivered' AND before.seq < deliveries.seq
    ) THEN CAST(:never AS {int}) ELSE CAST(:due_at AS {int}) END
WHERE seq = :seq AND holder IS NULL;

-- name: skip
UPDATE deliveries SET order_key = NULL WHERE seq = :seq AND state = 'parked';

-- name: parked_since
SELECT seq FROM deliveries
WHERE state = 'parked' AND endpoint = :endpoint AND created_at >= :since
ORDER BY created_at, seq
LIMIT :room;

-- name: deliveries_of
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM deliveries JOIN workloads ON workloads.seq = deliveries.workload
WHERE api = :api AND id = :id
ORDER BY deliveries.seq;

-- name: one_delivery
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM deliveries JOIN workloads ON workloads.seq = deliveries.workload
WHERE deliveries.seq = :seq;

-- name: page_of_any
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM deliveries JOIN workloads ON workloads.seq = deliveries.workload
WHERE deliveries.seq < :before AND (CAST(:endpoint AS TEXT) IS NULL OR endpoint = :endpoint)
ORDER BY deliveries.seq DESC
LIMIT :limit;

-- name: page_of_delivered
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM deliveries JOIN workloads ON workloads.seq = deliveries.workload
WHERE deliveries.seq < :before AND (CAST(:endpoint AS TEXT) IS NULL OR endpoint = :endpoint) AND state = 'delivered'
ORDER BY deliveries.seq DESC
LIMIT :limit;

-- name: page_of_pending
-- Few are in it among many that are not: `+ 0` keeps the planner from going through all rows in their order until it has
-- found enough of them, so that the state's partial index serves.
WITH found AS MATERIALIZED (
    SELECT seq FROM deliveries
    WHERE state = 'pending' AND seq + 0 < :before AND (CAST(:endpoint AS TEXT) IS NULL OR endpoint = :endpoint)
    ORDER BY seq + 0 DESC
    LIMIT :limit
)
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM found JOIN deliveries ON deliveries.seq = found.seq JOIN workloads ON workloads.seq = deliveries.workload
ORDER BY deliveries.seq DESC;

-- name: page_of_parked
WITH found AS MATERIALIZED (
    SELECT seq FROM deliveries
    WHERE state = 'parked' AND seq + 0 < :before AND (CAST(:endpoint AS TEXT) IS NULL OR endpoint = :endpoint)
    ORDER BY seq + 0 DESC
    LIMIT :limit
)
SELECT deliveries.seq, api, id, endpoint, url, message_id, event, state, tries, deliveries.due_at, created_at,
       settled_at, reason, sequence, deliveries.order_key
FROM found JOIN deliveries ON deliveries.seq = found.seq JOIN workloads ON workloads.seq = deliveries.workload
ORDER BY deliveries.seq DESC;

-- name: before_it
SELECT min(seq) FROM deliveries
WHERE endpoint = :endpoint AND order_key = :order_key AND state <> 'delivered' AND seq < :seq;

-- name: behind_it
SELECT count(*) FROM deliveries
WHERE endpoint = :endpoint AND order_key = :order_key AND state <> 'delivered' AND seq > :seq;

-- name: attempts_of
SELECT number, started_at, duration_us, outcome, status, detail, address,
       dns_us, connect_us, wait_us, read_us, request_head, response_head, excerpt
FROM attempts WHERE delivery = :seq ORDER BY number;

-- name: backlogs
-- The oldest is the first of its rows: the index has `seq` and not the time, which would have each row looked up.
SELECT found.endpoint, 'pending', found.pending, oldest.created_at
FROM (
    SELECT endpoint, count(*) AS pending, min(seq) AS first FROM deliveries WHERE state = 'pending' GROUP BY endpoint
) AS found JOIN deliveries AS oldest ON oldest.seq = found.first
UNION ALL
SELECT endpoint, 'parked', count(*), NULL FROM deliveries
WHERE state = 'parked' GROUP BY endpoint;

-- name: pause
INSERT INTO pauses (endpoint, kind, reason, since) VALUES (:endpoint, :kind, :reason, :since)
ON CONFLICT (endpoint) DO UPDATE SET kind = excluded.kind, reason = excluded.reason, since = excluded.since;

-- name: resume
DELETE FROM pauses WHERE endpoint = :endpoint;

-- name: pauses
SELECT endpoint, kind, reason, since FROM pauses;
