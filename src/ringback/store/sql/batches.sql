-- name: find_batch_by_key
SELECT seq, id, state, fingerprint FROM batches WHERE api = :api AND idempotency_key = :key;

-- name: fingerprint_of_batch
SELECT fingerprint FROM batches WHERE seq = :batch AND state <> 'open';

-- name: open_batch
INSERT INTO batches (api, id, state, holder, idempotency_key, due_at, submitted_at, template)
VALUES (:api, :id, 'open', :member, :key, :due_at, :now, :template)
RETURNING seq;

-- name: holds_batch
SELECT 1 FROM batches
WHERE seq = :batch AND state = 'open' AND holder = :member AND EXISTS (SELECT 1 FROM members WHERE id = :member);

-- name: stage
INSERT INTO staged (batch, line, id, payload) VALUES (:batch, :line, :id, :payload);

-- name: accept_batch
UPDATE batches
SET state = 'pouring', total = :total, fingerprint = :fingerprint, due_at = :due_at, submitted_at = :now, holder = NULL
WHERE seq = :batch AND state = 'open' AND holder = :member AND EXISTS (SELECT 1 FROM members WHERE id = :member);

-- name: drop_batch
UPDATE batches SET state = 'dropped', holder = NULL, idempotency_key = NULL
WHERE seq = :batch AND state = 'open' AND holder = :member;

-- name: drop_batches_of_the_dead
UPDATE batches SET state = 'dropped', holder = NULL, idempotency_key = NULL
WHERE state = 'open' AND holder NOT IN (SELECT id FROM members);

-- name: poured_batch
SELECT api, template, due_at FROM batches WHERE seq = :batch AND state = 'pouring';

-- name: take_staged
WITH picked AS MATERIALIZED (
    SELECT line FROM staged WHERE batch = :batch ORDER BY line LIMIT :room {skip_locked}
)
DELETE FROM staged WHERE batch = :batch AND line IN (SELECT line FROM picked)
RETURNING line, id, payload;

-- name: end_pouring
UPDATE batches SET state = 'taken_in'
WHERE seq = :batch AND state = 'pouring' AND NOT EXISTS (SELECT 1 FROM staged WHERE batch = :batch);

-- name: next_unsettled
SELECT seq, state FROM batches WHERE state IN ('pouring', 'dropped') ORDER BY state, seq LIMIT 1;

-- name: unstage
DELETE FROM staged WHERE batch = :batch AND line IN (
    SELECT line FROM staged WHERE batch = :batch ORDER BY line LIMIT :room
);

-- name: delete_batch
DELETE FROM batches WHERE seq = :batch AND state = 'dropped';

-- name: count_end
UPDATE batches
SET completed = completed + :completed, failed = failed + :failed, canceled = canceled + :canceled
WHERE seq = :batch
RETURNING id, api, total, completed, failed, canceled;

-- name: end_batch
UPDATE batches SET finished_at = :now, told = 0 WHERE seq = :batch;

-- name: reopen_batch
UPDATE batches
SET completed = completed - :completed, failed = failed - :failed, canceled = canceled - :canceled,
    finished_at = NULL, told = 0
WHERE seq = :batch;

-- name: tell_batches
-- Whoever marks one as told tells of it, in the same transaction.
WITH untold AS MATERIALIZED (
    SELECT seq FROM batches
    WHERE api = :api AND finished_at IS NOT NULL AND told = 0
    ORDER BY seq
    LIMIT :room {skip_locked}
)
UPDATE batches SET told = 1 WHERE seq IN (SELECT seq FROM untold)
RETURNING seq, id, template, total, completed, failed, canceled, finished_at;

-- name: tell_batch
UPDATE batches SET told = 1 WHERE seq = :batch AND told = 0
RETURNING seq, id, template, total, completed, failed, canceled, finished_at;

-- name: stand_for_batch
-- What the webhooks of a batch belong to; another when it is over once more, after a retry.
INSERT INTO workloads (api, id, status, due_at, submitted_at, finished_at, content_type, headers, payload, told)
VALUES (:api, :id, 'completed', :due_at, :now, :now, :content_type, :nothing, :nothing, 1)
ON CONFLICT (api, id) DO UPDATE SET finished_at = excluded.finished_at, told = workloads.told + 1, erased_at = NULL
RETURNING seq, told;

-- name: read_batch
SELECT seq, api, id, total, completed, failed, canceled, submitted_at, finished_at,
       (SELECT count(*) FROM workloads WHERE batch = batches.seq AND status = 'in_progress')
FROM batches WHERE id = :id AND state IN ('pouring', 'taken_in');

-- name: page_of_batches
SELECT seq, api, id, total, completed, failed, canceled, submitted_at, finished_at,
       (SELECT count(*) FROM workloads WHERE batch = batches.seq AND status = 'in_progress')
FROM batches
WHERE seq < :before AND (CAST(:api AS TEXT) IS NULL OR api = :api) AND state IN ('pouring', 'taken_in')
ORDER BY seq DESC
LIMIT :limit;

-- name: page_in_batch
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, result, large
FROM workloads
WHERE batch = :batch AND status = :status AND seq > :after
ORDER BY seq
LIMIT :limit;

-- name: forget_batches
DELETE FROM batches WHERE seq IN (
    SELECT seq FROM batches
    WHERE finished_at <= :until AND told = 1 AND finished_at IS NOT NULL
      AND NOT EXISTS (SELECT 1 FROM workloads WHERE batch = batches.seq)
    ORDER BY finished_at
    LIMIT :room
);
