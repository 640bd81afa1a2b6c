-- name: export_workloads
SELECT workloads.seq, workloads.api, workloads.id, status, attempt, workloads.submitted_at, started_at,
       workloads.finished_at, erased_at, error_type, error_message, content_type, length(payload), length(result),
       workloads.idempotency_key, order_key, trace_id, tenant, priority, batches.id,
       CASE WHEN CAST(:with_data AS {int}) = 1 THEN payload END, CASE WHEN CAST(:with_data AS {int}) = 1 THEN result END,
       (SELECT size FROM blobs WHERE blobs.workload = workloads.seq AND part = 'payload' AND is_doomed = 0),
       (SELECT size FROM blobs WHERE blobs.workload = workloads.seq AND part = 'result' AND is_doomed = 0)
FROM workloads LEFT JOIN batches ON batches.seq = workloads.batch
WHERE workloads.seq > :after
ORDER BY workloads.seq
LIMIT :limit;

-- name: export_past_attempts
SELECT workload, number, started_at, ended_at, ending, error_type, error_message FROM past_attempts
WHERE workload > :after AND workload <= :last
ORDER BY workload, seq;

-- name: export_deliveries
SELECT workload, seq, endpoint, url, message_id, event, state, tries, due_at, created_at, settled_at, reason
FROM deliveries
WHERE workload > :after AND workload <= :last
ORDER BY workload, seq;

-- name: export_delivery_attempts
SELECT deliveries.workload, delivery, number, started_at, duration_us, outcome, status, detail, address
FROM attempts JOIN deliveries ON deliveries.seq = attempts.delivery
WHERE deliveries.workload > :after AND deliveries.workload <= :last
ORDER BY deliveries.workload, delivery, number;
