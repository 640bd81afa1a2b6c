-- Each statement counts what should not be, and names one of it. Read by `ringback store check`, never by a server.

-- name: check_unknown_status
SELECT count(*), min(seq) FROM workloads
WHERE status NOT IN ('in_queue', 'in_progress', 'completed', 'failed', 'canceled');

-- name: check_end_without_moment
SELECT count(*), min(seq) FROM workloads
WHERE (status IN ('completed', 'failed', 'canceled') AND finished_at IS NULL)
   OR (status IN ('in_queue', 'in_progress') AND finished_at IS NOT NULL);

-- name: check_holders
SELECT count(*), min(seq) FROM workloads
WHERE (status = 'in_progress' AND holder IS NULL) OR (status <> 'in_progress' AND holder IS NOT NULL);

-- name: check_places
SELECT count(*), min(seq) FROM workloads WHERE place IS NOT NULL AND status <> 'in_queue';

-- name: check_results
SELECT count(*), min(seq) FROM workloads
WHERE status = 'completed' AND result IS NULL AND large IS NULL AND erased_at IS NULL
  AND api NOT IN (:trials, :batches);

-- name: check_tallies
SELECT count(*), min(api) FROM (
    SELECT api, tenant FROM (
        SELECT api, tenant, unfinished FROM tallies
        UNION ALL
        SELECT api, CASE WHEN batch IS NULL THEN tenant ELSE :batched END, -1 FROM workloads
        WHERE status IN ('in_queue', 'in_progress')
    ) AS both_sides
    GROUP BY api, tenant
    HAVING sum(unfinished) <> 0
) AS wrong;

-- name: check_deliveries_of_nobody
SELECT count(*), min(seq) FROM deliveries
WHERE NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.seq = deliveries.workload);

-- name: check_attempts_of_nobody
SELECT count(*), min(delivery) FROM attempts
WHERE NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.seq = attempts.delivery);

-- name: check_lost_attempts
SELECT count(*), min(seq) FROM deliveries
WHERE tries > 0 AND tries > (SELECT count(*) FROM attempts WHERE attempts.delivery = deliveries.seq);

-- name: check_delivery_states
SELECT count(*), min(seq) FROM deliveries
WHERE state NOT IN ('pending', 'delivered', 'parked')
   OR (state = 'pending' AND settled_at IS NOT NULL) OR (state <> 'pending' AND settled_at IS NULL);

-- name: check_held_by_nobody
SELECT count(*), min(seq) FROM deliveries
WHERE state = 'pending' AND holder IS NOT NULL AND holder NOT IN (SELECT id FROM members);

-- name: check_journal_of_nobody
SELECT count(*), min(workload) FROM journal
WHERE NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.seq = journal.workload);

-- name: check_past_attempts_of_nobody
SELECT count(*), min(workload) FROM past_attempts
WHERE NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.seq = past_attempts.workload);

-- name: check_checkpoints_of_nobody
SELECT count(*), min(workload) FROM checkpoints
WHERE NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.seq = checkpoints.workload);

-- name: check_staged_of_nobody
SELECT count(*), min(batch) FROM staged WHERE NOT EXISTS (SELECT 1 FROM batches WHERE batches.seq = staged.batch);

-- name: check_captures_of_nobody
SELECT count(*), min(seq) FROM captures WHERE NOT EXISTS (SELECT 1 FROM inboxes WHERE inboxes.seq = captures.inbox);

-- name: check_batch_counts
SELECT count(*), min(id) FROM batches
WHERE completed + failed + canceled > total OR completed < 0 OR failed < 0 OR canceled < 0
   OR (state IN ('pouring', 'taken_in') AND (finished_at IS NOT NULL) <> (completed + failed + canceled = total));

-- name: check_large_without_blob
SELECT count(*), min(seq) FROM workloads
WHERE large = 1 AND erased_at IS NULL AND NOT EXISTS (SELECT 1 FROM blobs WHERE blobs.workload = workloads.seq);

-- name: check_blobs_of_nobody
SELECT count(*), min(key) FROM blobs
WHERE is_doomed = 0
  AND NOT EXISTS (SELECT 1 FROM workloads WHERE workloads.seq = blobs.workload AND erased_at IS NULL);

-- name: check_revisions
SELECT count(*), min(endpoint) FROM endpoints
WHERE revision > (SELECT value FROM revisions WHERE name = 'endpoints');

-- name: check_moved
SELECT count(*), min(name) FROM keys WHERE name IN ('moving', 'moved', 'filling');

-- name: check_dead
SELECT count(*), min(holder) FROM workloads
WHERE status = 'in_progress' AND holder NOT IN (SELECT id FROM members);

-- name: blobs_after
SELECT blobs.key, blobs.workload, blobs.part, blobs.size, blobs.content_type, workloads.fingerprint,
       workloads.content_type
FROM blobs JOIN workloads ON workloads.seq = blobs.workload
WHERE blobs.key > :after AND is_doomed = 0
ORDER BY blobs.key
LIMIT :limit;
