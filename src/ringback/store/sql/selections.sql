-- name: reach
-- Where so many rows of one API and status end, read from the index alone.
SELECT seq FROM workloads
WHERE api = :api AND status = :status AND seq > :after AND seq <= :until
ORDER BY seq
LIMIT 1 OFFSET :most;

-- name: reach_in_batch
SELECT seq FROM workloads
WHERE batch = :batch AND status = :status AND seq > :after AND seq <= :until
ORDER BY seq
LIMIT 1 OFFSET :most;

-- name: selected
SELECT seq, api FROM workloads
WHERE api = :api AND status = :status AND seq > :after AND seq <= :until AND erased_at IS NULL AND cancel_at IS NULL
  AND coalesce(finished_at, submitted_at) >= :since AND coalesce(finished_at, submitted_at) < :before
  AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
  AND (CAST(:words AS TEXT) IS NULL
       OR lower(id) LIKE :words ESCAPE '!' OR lower(idempotency_key) LIKE :words ESCAPE '!'
       OR lower(error_type) LIKE :words ESCAPE '!' OR lower(error_message) LIKE :words ESCAPE '!')
ORDER BY seq
LIMIT :room;

-- name: selected_in_batch
SELECT seq, api FROM workloads
WHERE batch = :batch AND status = :status AND seq > :after AND seq <= :until AND erased_at IS NULL AND cancel_at IS NULL
  AND coalesce(finished_at, submitted_at) >= :since AND coalesce(finished_at, submitted_at) < :before
  AND (CAST(:tenant AS TEXT) IS NULL OR tenant = :tenant)
  AND (CAST(:words AS TEXT) IS NULL
       OR lower(id) LIKE :words ESCAPE '!' OR lower(idempotency_key) LIKE :words ESCAPE '!'
       OR lower(error_type) LIKE :words ESCAPE '!' OR lower(error_message) LIKE :words ESCAPE '!')
ORDER BY seq
LIMIT :room;
