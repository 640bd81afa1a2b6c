-- name: hold_member
UPDATE members SET roles = roles WHERE id = :member;

-- name: has_another_sender
SELECT 1 FROM lanes WHERE endpoint = :endpoint AND member NOT IN ('', :member);

-- name: take_lane
INSERT INTO lanes (endpoint, member, takes, tripped) VALUES (:endpoint, :member, 1, 0)
ON CONFLICT (endpoint) DO UPDATE SET member = excluded.member, takes = lanes.takes + 1
WHERE lanes.member IN ('', excluded.member)
RETURNING takes, tripped;

-- name: leave_lane
UPDATE lanes SET member = '' WHERE endpoint = :endpoint AND member = :member AND takes = :takes;

-- name: free_lanes
UPDATE lanes SET member = '' WHERE member = :member;

-- name: note_tripped
UPDATE lanes SET tripped = :tripped WHERE endpoint = :endpoint AND member = :member AND tripped <> :tripped;

-- name: tripped
SELECT endpoint FROM lanes WHERE tripped = 1;

-- name: orphans
-- Hops from one endpoint to the next, as `waiting` does.
WITH RECURSIVE found (endpoint) AS (
    SELECT min(endpoint) FROM deliveries WHERE state = 'pending' AND holder IS NULL
    UNION ALL
    SELECT (
        SELECT min(endpoint) FROM deliveries
        WHERE state = 'pending' AND holder IS NULL AND deliveries.endpoint > found.endpoint
    )
    FROM found WHERE found.endpoint IS NOT NULL
)
SELECT endpoint FROM found
WHERE endpoint IS NOT NULL AND NOT EXISTS (
    SELECT 1 FROM lanes WHERE lanes.endpoint = found.endpoint AND lanes.member <> ''
);

-- name: forget_lanes
DELETE FROM lanes
WHERE member = '' AND NOT EXISTS (
    SELECT 1 FROM deliveries WHERE deliveries.endpoint = lanes.endpoint AND state = 'pending'
);
