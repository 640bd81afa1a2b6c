-- name: insert_workload
INSERT INTO workloads (api, id, status, due_at, submitted_at, trace_id, idempotency_key, fingerprint,
                       content_type, headers, payload, webhooks, order_key)
VALUES (:api, :id, 'in_queue', :due_at, :now, :trace_id, :key, :fingerprint, :content_type, :headers, :payload,
        :webhooks, :order_key);

-- name: find_by_id
SELECT id, fingerprint, seq FROM workloads WHERE api = :api AND id = :id;

-- name: find_by_key
SELECT id, fingerprint, seq FROM workloads WHERE api = :api AND idempotency_key = :key;

-- name: read_payload
SELECT content_type, payload FROM workloads WHERE seq = :seq AND erased_at IS NULL;

-- name: claim
-- The step is materialised: a bare sub-select with LIMIT may run more than once under some plans and take too many.
WITH picked AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_queue' AND due_at <= :now AND EXISTS (SELECT 1 FROM members WHERE id = :member)
    ORDER BY due_at, seq
    LIMIT :room {skip_locked}
)
UPDATE workloads
SET status = 'in_progress', holder = :member, attempt = attempt + 1, started_at = :started_at
WHERE seq IN (SELECT seq FROM picked)
RETURNING seq, id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at, due_at, webhooks,
          large;

-- name: next_queued
SELECT due_at FROM workloads
WHERE api = :api AND status = 'in_queue' AND due_at > :now
ORDER BY due_at
LIMIT 1;

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
RETURNING seq, id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at, due_at, webhooks,
          large;

-- name: finish
UPDATE workloads
SET status = :status, result = :result, error_type = :error_type, error_message = :error_message,
    finished_at = :now, holder = NULL, fraction = NULL, message = NULL, told = told + 1
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NULL
RETURNING trace_id, webhooks, told, order_key;

-- name: read_end
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, result, large
FROM workloads WHERE seq = :seq;

-- name: requeue
UPDATE workloads
SET status = 'in_queue', holder = NULL, due_at = coalesce(:due_at, due_at), fraction = NULL, message = NULL,
    started_at = NULL, raised = raised + :raised, losses = losses + :losses
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NULL;

-- name: progress
UPDATE workloads
SET fraction = :fraction, message = :message, told = told + :telling
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND erased_at IS NULL
RETURNING trace_id, webhooks, told, order_key;

-- name: announce
UPDATE workloads
SET told = told + 1
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND erased_at IS NULL
RETURNING trace_id, webhooks, told, order_key;

-- name: read_workload
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, result, large
FROM workloads WHERE api = :api AND id = :id;

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
            SELECT 1 FROM workloads WHERE api = :api AND status = 'in_queue' AND due_at <= :now LIMIT :most
        ) AS due);

-- name: first_due
-- Two hops on an index for each API: to the next API that has a queue, and to the first that is due in it.
WITH RECURSIVE apis (api) AS (
    SELECT min(api) FROM workloads WHERE status = 'in_queue'
    UNION ALL
    SELECT (SELECT min(api) FROM workloads WHERE status = 'in_queue' AND workloads.api > apis.api)
    FROM apis WHERE apis.api IS NOT NULL
)
SELECT api, (SELECT min(due_at) FROM workloads
             WHERE workloads.api = apis.api AND status = 'in_queue' AND due_at <= :now)
FROM apis WHERE api IS NOT NULL;
