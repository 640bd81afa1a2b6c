-- name: attach_blob
INSERT INTO blobs (key, workload, part, size, content_type) VALUES (:key, :workload, :part, :size, :content_type);

-- name: mark_large
UPDATE workloads SET large = 1 WHERE seq = :seq;

-- name: blob_of
SELECT key, size, content_type FROM blobs WHERE workload = :seq AND part = :part AND is_doomed = 0;

-- name: is_attached
SELECT 1 FROM blobs WHERE key = :key;

-- name: doom_blobs
UPDATE blobs SET is_doomed = 1 WHERE workload = :seq;

-- name: doomed_blobs
SELECT key FROM blobs WHERE is_doomed = 1 ORDER BY key LIMIT :room;

-- name: forget_blob
DELETE FROM blobs WHERE key = :key AND is_doomed = 1;
