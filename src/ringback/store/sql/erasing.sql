-- name: expired
SELECT seq FROM workloads
WHERE api = :api AND finished_at IS NOT NULL AND erased_at IS NULL AND finished_at <= :until
  AND NOT EXISTS (
      SELECT 1 FROM deliveries
      WHERE deliveries.workload = workloads.seq AND (deliveries.state <> 'delivered' OR deliveries.settled_at > :until)
  )
ORDER BY finished_at, seq
LIMIT :room {skip_locked};

-- name: erase_delivery_attempts
DELETE FROM attempts WHERE delivery IN (SELECT seq FROM deliveries WHERE workload = :seq);

-- name: erase_deliveries
DELETE FROM deliveries WHERE workload = :seq;

-- name: erase_past_attempts
DELETE FROM past_attempts WHERE workload = :seq;

-- name: erase_workload
UPDATE workloads
SET erased_at = :now, headers = :nothing, payload = :nothing, result = NULL, error_type = NULL, error_message = NULL,
    fraction = NULL, message = NULL, webhooks = NULL, order_key = NULL, trace_id = NULL
WHERE seq = :seq;

-- name: drop_markers
DELETE FROM workloads WHERE seq IN (SELECT seq FROM workloads WHERE erased_at <= :until LIMIT :room);
