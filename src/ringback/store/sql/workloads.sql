-- name: insert_workload
INSERT INTO workloads (api, id, status, due_at, submitted_at, trace_id, idempotency_key, fingerprint,
                       content_type, headers, payload, webhooks, order_key, place)
VALUES (:api, :id, 'in_queue', :due_at, :now, :trace_id, :key, :fingerprint, :content_type, :headers, :payload,
        :webhooks, :order_key, :due_at);

-- name: insert_with_wish
-- A statement of its own: plain ones need not bind what they do not ask for.
INSERT INTO workloads (api, id, status, due_at, submitted_at, trace_id, idempotency_key, fingerprint,
                       content_type, headers, payload, webhooks, order_key, place, tenant, priority, expires_at, batch)
VALUES (:api, :id, 'in_queue', :due_at, :now, :trace_id, :key, :fingerprint, :content_type, :headers, :payload,
        :webhooks, :order_key, :place, :tenant, :priority, :expires_at, :batch);

-- name: find_by_id
SELECT id, fingerprint, seq FROM workloads WHERE api = :api AND id = :id;

-- name: find_by_key
SELECT id, fingerprint, seq FROM workloads WHERE api = :api AND idempotency_key = :key;

-- name: read_payload
SELECT content_type, payload FROM workloads WHERE seq = :seq AND erased_at IS NULL;

-- name: take_over_workloads
WITH picked AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_progress' AND holder NOT IN (SELECT id FROM members)
    ORDER BY seq
    LIMIT :room {skip_locked}
)
UPDATE workloads
SET holder = :member, attempt = attempt + 1
WHERE seq IN (SELECT seq FROM picked)
RETURNING seq, id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at,
          due_at - priority * :step, webhooks, told, order_key, tenant, batch, large;

-- name: finish
UPDATE workloads
SET status = :status, result = :result, error_type = :error_type, error_message = :error_message,
    finished_at = :now, holder = NULL, fraction = NULL, message = NULL, told = told + 1
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NULL
{returning_teller};

-- name: teller
SELECT trace_id, webhooks, told, order_key, tenant, batch FROM workloads WHERE seq = :seq;

-- name: read_end
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, result, large
FROM workloads WHERE seq = :seq;

-- name: requeue
UPDATE workloads
SET status = 'in_queue', holder = NULL, due_at = coalesce(:due_at, due_at), fraction = NULL, message = NULL,
    place = CASE WHEN :due_at IS NULL THEN due_at - priority * :step END,
    expires_at = CASE WHEN :has_begun = 0 THEN expires_at END, started_at = NULL,
    raised = raised + :raised, losses = losses + :losses
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NULL
RETURNING tenant;

-- name: progress
UPDATE workloads
SET fraction = :fraction, message = :message, told = told + :telling
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND erased_at IS NULL
RETURNING trace_id, webhooks, told, order_key, tenant, batch;

-- name: announce
UPDATE workloads
SET told = told + 1
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND erased_at IS NULL
RETURNING trace_id, webhooks, told, order_key, tenant, batch;

-- name: read_workload
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, result, large
FROM workloads WHERE api = :api AND id = :id;

-- name: ended_of
SELECT id FROM workloads
WHERE api = :api AND id IN ({listed_ids})
  AND (erased_at IS NOT NULL OR status IN ('completed', 'failed', 'canceled'));

-- name: page
-- Newest first, from the one index on (api, status, seq): a short range of each status, merged.
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result
FROM workloads
WHERE api = :api AND status = :status AND seq < :before AND erased_at IS NULL
ORDER BY seq DESC
LIMIT :limit;

-- name: in_flight
-- Reads no more index entries than are wanted, however long the queue is.
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM workloads WHERE api = :api AND status = 'in_progress' LIMIT :most
        ) AS running)
     + (SELECT count(*) FROM (
            SELECT 1 FROM workloads WHERE api = :api AND place IS NOT NULL LIMIT :most
        ) AS standing)
     + (SELECT count(*) FROM (
            SELECT 1 FROM workloads WHERE api = :api AND status = 'in_queue' AND place IS NULL AND due_at <= :now
            LIMIT :most
        ) AS due);

-- name: first_due
-- What has been due for longest is among the hundred that were submitted first, unless those all wait for their time.
SELECT api, coalesce(
    (SELECT min(due_at) FROM (
         SELECT place, due_at FROM workloads WHERE workloads.api = apis.api AND status = 'in_queue' ORDER BY seq LIMIT 100
     ) AS oldest
     WHERE place IS NOT NULL OR due_at <= :now),
    (SELECT due_at FROM workloads
     WHERE workloads.api = apis.api AND tenant = '' AND place IS NOT NULL
     ORDER BY place, seq LIMIT 1))
FROM (SELECT api FROM tallies GROUP BY api HAVING sum(unfinished) > 0) AS apis;
