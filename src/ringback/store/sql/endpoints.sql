-- name: next_revision
-- Comes first in every change: whoever changes an endpoint waits here for whoever is at it.
UPDATE revisions SET value = value + 1 WHERE name = 'endpoints' RETURNING value;

-- name: insert_endpoint
INSERT INTO endpoints (endpoint, url, apis, settings, secrets, created_at, revision)
VALUES (:key, :url, :apis, :settings, :secrets, :created_at, :revision);

-- name: change_endpoint
UPDATE endpoints
SET url = :url, apis = :apis, settings = :settings, secrets = :secrets, revision = :revision
WHERE endpoint = :key;

-- name: remove_endpoint
UPDATE endpoints
SET removed_at = coalesce(removed_at, :now), undelivered = :undelivered, apis = :apis, settings = :settings,
    secrets = :secrets, revision = :revision
WHERE endpoint = :key;

-- name: count_endpoints
SELECT count(*) FROM endpoints WHERE removed_at IS NULL;

-- name: read_endpoint
SELECT endpoint, url, apis, settings, secrets, created_at, removed_at, revision FROM endpoints WHERE endpoint = :key;

-- name: endpoints_since
SELECT endpoint, url, apis, settings, secrets, created_at, removed_at, revision FROM endpoints
WHERE revision > :revision
ORDER BY revision;

-- name: removed_endpoints
SELECT endpoint, url, removed_at, undelivered FROM endpoints WHERE removed_at IS NOT NULL ORDER BY endpoint;

-- name: park_of
UPDATE deliveries SET state = 'parked', settled_at = :now, reason = :reason
WHERE seq IN (
    SELECT seq FROM deliveries WHERE endpoint = :key AND state = 'pending' AND holder IS NULL LIMIT :room
);

-- name: undelivered_of
SELECT seq FROM deliveries WHERE endpoint = :key AND state = 'pending' AND holder IS NULL
UNION ALL
SELECT seq FROM deliveries WHERE endpoint = :key AND state = 'parked'
LIMIT :room;

-- name: erase_attempts_of
DELETE FROM attempts WHERE delivery = :seq;

-- name: erase_delivery
DELETE FROM deliveries WHERE seq = :seq;

-- name: forget_endpoint
DELETE FROM endpoints
WHERE endpoint = :key AND removed_at <= :until
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.endpoint = :key AND state = 'pending')
  AND NOT EXISTS (SELECT 1 FROM deliveries WHERE deliveries.endpoint = :key AND state = 'parked');

-- name: waiting
-- Hops from one endpoint to the next on the index instead of reading all that is pending.
WITH RECURSIVE found (endpoint) AS (
    SELECT min(endpoint) FROM deliveries WHERE state = 'pending' AND holder IS NULL
    UNION ALL
    SELECT (
        SELECT min(endpoint) FROM deliveries
        WHERE state = 'pending' AND holder IS NULL AND deliveries.endpoint > found.endpoint
    )
    FROM found WHERE found.endpoint IS NOT NULL
)
SELECT endpoint FROM found WHERE endpoint IS NOT NULL;
