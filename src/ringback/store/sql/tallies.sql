-- name: tally
INSERT INTO tallies (api, tenant, member, unfinished) VALUES (:api, :tenant, :member, :change)
ON CONFLICT (api, tenant, member) DO UPDATE SET unfinished = tallies.unfinished + excluded.unfinished;

-- name: count_unfinished
SELECT coalesce(sum(unfinished), 0), {is_shared} FROM tallies WHERE api = :api AND tenant = :tenant;

-- name: latest_ends
-- Whoever ran them. What came in batches is counted apart, and its ends make room for nobody else.
SELECT finished_at, CASE WHEN batch IS NULL THEN tenant END
FROM workloads
WHERE api = :api AND finished_at IS NOT NULL AND erased_at IS NULL
ORDER BY finished_at DESC
LIMIT :most;

-- name: depths
-- Those in progress are as many as the replicas may have in hand, however long the queue is.
SELECT api, sum(unfinished),
       (SELECT count(*) FROM workloads WHERE workloads.api = tallies.api AND status = 'in_progress')
FROM tallies
GROUP BY api;

-- name: inherit_tallies
INSERT INTO tallies (api, tenant, member, unfinished)
SELECT api, tenant, '', sum(unfinished) FROM tallies
WHERE member <> '' AND member NOT IN (SELECT id FROM members)
GROUP BY api, tenant
ON CONFLICT (api, tenant, member) DO UPDATE SET unfinished = tallies.unfinished + excluded.unfinished;

-- name: drop_inherited_tallies
DELETE FROM tallies WHERE member <> '' AND member NOT IN (SELECT id FROM members);
