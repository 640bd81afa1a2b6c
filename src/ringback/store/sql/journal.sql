-- name: is_held
SELECT 1 FROM workloads
WHERE seq = :seq AND attempt = :attempt AND status = 'in_progress' AND holder = :member AND erased_at IS NULL
{for_update};

-- name: last_number
SELECT coalesce(max(number), 0) FROM journal WHERE workload = :seq;

-- name: insert_entry
INSERT INTO journal (workload, number, attempt, at, kind, place, body)
VALUES (:seq, :number, :attempt, :now, :kind, :place, :body);

-- name: drop_lines
DELETE FROM journal
WHERE workload = :seq AND attempt = :attempt AND kind = 'log' AND place >= :first AND place < :until;

-- name: drop_last_progress
DELETE FROM journal
WHERE workload = :seq AND attempt = :attempt AND kind = 'progress' AND number = (
    SELECT number FROM journal WHERE workload = :seq AND kind = 'progress' ORDER BY number DESC LIMIT 1
);

-- name: read_standing
-- As `read_workload`, without the result.
SELECT seq, api, id, status, attempt, submitted_at, started_at, finished_at, erased_at, fraction, message,
       error_type, error_message, NULL AS result
FROM workloads WHERE api = :api AND id = :id;

-- name: standings_of
-- All that `read_standing` and `read_entries` can show anew.
SELECT id, status, attempt, started_at, erased_at, fraction, message,
       (SELECT max(number) FROM journal WHERE workload = workloads.seq)
FROM workloads WHERE api = :api AND id IN ({listed_ids});

-- name: read_entries
SELECT number, attempt, at, kind, place, body FROM journal
WHERE workload = :seq AND number > :number AND attempt BETWEEN :first AND :last
ORDER BY number
LIMIT :room;

-- name: erase_journal
DELETE FROM journal WHERE workload = :seq;
