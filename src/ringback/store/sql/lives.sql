-- name: note_attempt
INSERT INTO past_attempts (workload, number, started_at, ended_at, ending, error_type, error_message)
SELECT seq, attempt, started_at, :now, :ending, :error_type, :error_message
FROM workloads
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NULL
{for_update};

-- name: note_lost
INSERT INTO past_attempts (workload, number, started_at, ended_at, ending, error_type, error_message)
SELECT seq, attempt - 1, started_at, :now, 'lost', 'replica_lost', 'it went down with its server'
FROM workloads
WHERE seq = :seq AND started_at IS NOT NULL AND erased_at IS NULL;

-- name: unstart
UPDATE workloads SET started_at = NULL WHERE seq = :seq;

-- name: past_attempts_of
SELECT number, started_at, ended_at, ending, error_type, error_message
FROM past_attempts WHERE workload = :seq ORDER BY seq;

-- name: describe
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result,
       due_at, content_type,
       coalesce((SELECT size FROM blobs WHERE workload = workloads.seq AND part = 'payload'), length(payload)),
       coalesce((SELECT size FROM blobs WHERE workload = workloads.seq AND part = 'result'), length(result)),
       raised, losses, idempotency_key, order_key, trace_id, tenant, priority, expires_at,
       (SELECT batches.id FROM batches WHERE batches.seq = workloads.batch)
FROM workloads WHERE api = :api AND id = :id;

-- name: beginning_of_payload
SELECT seq, content_type, substr(payload, 1, :most), large, erased_at
FROM workloads WHERE api = :api AND id = :id;

-- name: deliveries_by_state
SELECT state, count(*) FROM deliveries WHERE workload = :seq GROUP BY state;

-- name: page_with_words
-- As `page`, in a window of rows, so that a search whose words are rare ends.
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result
FROM workloads
WHERE api = :api AND status = :status AND seq < :before AND seq >= :from AND erased_at IS NULL
  AND (lower(id) LIKE :words ESCAPE '!' OR lower(idempotency_key) LIKE :words ESCAPE '!'
       OR lower(error_type) LIKE :words ESCAPE '!' OR lower(error_message) LIKE :words ESCAPE '!')
ORDER BY seq DESC
LIMIT :limit;

-- name: newest
SELECT coalesce(max(seq), 0) FROM workloads;

-- name: standing
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result, holder, cancel_at, tenant, batch
FROM workloads WHERE api = :api AND id = :id {for_update};

-- name: standing_of
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result, holder, cancel_at, tenant, batch
FROM workloads WHERE seq = :seq {for_update};

-- name: standings
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result, holder, cancel_at, tenant, batch
FROM workloads WHERE seq IN ({listed_seqs}) ORDER BY seq {for_update};

-- name: cancel_all_queued
UPDATE workloads SET status = 'canceled', place = NULL, finished_at = :now, told = told + 1
WHERE seq IN ({listed_seqs}) AND status = 'in_queue'
RETURNING seq, trace_id, webhooks, told, order_key, tenant, batch;

-- name: cancel_queued
UPDATE workloads SET status = 'canceled', place = NULL, finished_at = :now, told = told + 1
WHERE seq = :seq AND status = 'in_queue'
RETURNING trace_id, webhooks, told, order_key, tenant, batch;

-- name: ask_cancel
UPDATE workloads SET cancel_at = :now WHERE seq = :seq AND status = 'in_progress' AND cancel_at IS NULL;

-- name: finish_canceled
UPDATE workloads
SET status = 'canceled', finished_at = :now, holder = NULL, fraction = NULL, message = NULL, told = told + 1,
    cancel_at = NULL
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND cancel_at IS NOT NULL
RETURNING trace_id, webhooks, told, order_key, tenant, batch;

-- name: cancels_asked
SELECT api, id, seq, attempt FROM workloads WHERE cancel_at IS NOT NULL AND holder = :member;

-- name: note_ends
INSERT INTO past_attempts (workload, number, started_at, ended_at, ending, error_type, error_message)
SELECT seq, CASE WHEN started_at IS NULL THEN NULL ELSE attempt END, started_at, finished_at, CAST(:ending AS TEXT),
       error_type, error_message
FROM workloads WHERE seq IN ({listed_seqs});

-- name: retry
UPDATE workloads
SET status = 'in_queue', due_at = :due_at, place = :due_at - priority * :step, expires_at = NULL,
    started_at = NULL, finished_at = NULL, raised = 0, losses = 0, error_type = NULL, error_message = NULL
WHERE seq IN ({listed_seqs});

-- name: keep_checkpoint
INSERT INTO checkpoints (workload, attempt, kept_at, data) VALUES (:seq, :attempt, :now, :data)
ON CONFLICT (workload) DO UPDATE SET attempt = excluded.attempt, kept_at = excluded.kept_at, data = excluded.data;

-- name: last_checkpoint
SELECT data FROM checkpoints WHERE workload = :seq;

-- name: describe_checkpoint
SELECT length(data) FROM checkpoints WHERE workload = :seq;

-- name: drop_checkpoint
DELETE FROM checkpoints WHERE workload = :seq;
