-- name: claim
-- The step is materialised: a bare sub-select with LIMIT may run more than once under some plans and take too many.
WITH picked AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_queue' AND place IS NOT NULL AND EXISTS (SELECT 1 FROM members WHERE id = :member)
    ORDER BY tenant, place, seq
    LIMIT :room {skip_locked}
)
UPDATE workloads
SET status = 'in_progress', place = NULL, holder = :member, attempt = attempt + 1, started_at = :started_at
WHERE seq IN (SELECT seq FROM picked)
RETURNING seq, id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at,
          due_at - priority * :step, webhooks, told, order_key, tenant, batch, large;

-- name: claim_of_tenant
WITH picked AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND tenant = :tenant AND status = 'in_queue' AND place IS NOT NULL
      AND EXISTS (SELECT 1 FROM members WHERE id = :member)
    ORDER BY place, seq
    LIMIT :room {skip_locked}
)
UPDATE workloads
SET status = 'in_progress', place = NULL, holder = :member, attempt = attempt + 1, started_at = :started_at
WHERE seq IN (SELECT seq FROM picked)
RETURNING seq, id, attempt, payload, content_type, headers, trace_id, raised, losses, submitted_at,
          due_at - priority * :step, webhooks, told, order_key, tenant, batch, large;

-- name: next_moments
-- When the next one that waits for its time is due, and when the next one's longest wait is over.
SELECT (SELECT due_at FROM workloads
        WHERE api = :api AND status = 'in_queue' AND place IS NULL AND due_at < :never
        ORDER BY due_at LIMIT 1),
       (SELECT expires_at FROM workloads
        WHERE api = :api AND place IS NOT NULL AND expires_at IS NOT NULL
        ORDER BY expires_at LIMIT 1),
       {is_shared};

-- name: let_due_stand
WITH due AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_queue' AND place IS NULL AND due_at <= :now
    ORDER BY due_at
    LIMIT :room {skip_locked}
)
UPDATE workloads SET place = due_at - priority * :step
WHERE seq IN (SELECT seq FROM due)
RETURNING tenant;

-- name: set_late_aside
WITH late AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_queue' AND place IS NOT NULL AND expires_at <= :now
    ORDER BY expires_at
    LIMIT :room {skip_locked}
)
UPDATE workloads SET place = NULL, due_at = :never WHERE seq IN (SELECT seq FROM late);

-- name: is_any_aside
SELECT 1 FROM workloads WHERE api = :api AND status = 'in_queue' AND place IS NULL AND due_at = :never LIMIT 1;

-- name: expire
WITH late AS MATERIALIZED (
    SELECT seq FROM workloads
    WHERE api = :api AND status = 'in_queue' AND place IS NULL AND due_at = :never
    LIMIT :room {skip_locked}
)
UPDATE workloads
SET status = 'failed', error_type = :error_type, error_message = :error_message, finished_at = :finished_at,
    told = told + 1
WHERE seq IN (SELECT seq FROM late)
RETURNING seq, id, attempt, trace_id, webhooks, told, order_key, tenant, batch;

-- name: is_shared
SELECT 1 FROM turns WHERE api = :api LIMIT 1;

-- name: is_member
SELECT 1 FROM members WHERE id = :member;

-- name: enter_turns
-- One that comes new is ahead of those that were served lately; one that comes back keeps its turn if that is later.
INSERT INTO turns (api, tenant, turn, waiting)
VALUES (:api, :tenant, (SELECT CASE WHEN max(turn) > 0 THEN max(turn) ELSE 0 END FROM turns WHERE api = :api) - :ahead, 1)
ON CONFLICT (api, tenant) DO UPDATE
SET waiting = 1, turn = CASE WHEN turns.turn < excluded.turn THEN excluded.turn ELSE turns.turn END
WHERE turns.waiting = 0;

-- name: next_turns
SELECT tenant FROM turns WHERE api = :api AND waiting = 1 ORDER BY turn, seq LIMIT :room;

-- name: take_turn
UPDATE turns
SET waiting = :waiting,
    turn = (SELECT CASE WHEN max(turn) > 0 THEN max(turn) ELSE 0 END FROM turns AS others WHERE others.api = :api) + 1
WHERE api = :api AND tenant = :tenant;

-- name: pass_by
UPDATE turns SET waiting = 0 WHERE api = :api AND tenant = :tenant;

-- name: forget_turns
-- Those whose turn is so long ago that they would come back as if they were new; all, once nobody waits.
DELETE FROM turns WHERE seq IN (
    SELECT seq FROM turns
    WHERE api = :api AND waiting = 0
      AND (turn <= (SELECT max(turn) FROM turns AS others WHERE others.api = :api) - :ahead
           OR NOT EXISTS (SELECT 1 FROM turns AS others WHERE others.api = :api AND others.waiting = 1))
    LIMIT :room
);

-- name: forget_tenants
DELETE FROM tallies WHERE unfinished = 0 AND tenant <> '' AND (api, tenant, member) IN (
    SELECT api, tenant, member FROM tallies WHERE unfinished = 0 AND tenant <> '' LIMIT :room
);

-- name: stands_behind
-- Counts no more index entries than are wanted.
SELECT (SELECT count(*) FROM (
            SELECT 1 FROM workloads AS others
            WHERE others.api = workloads.api AND others.tenant = workloads.tenant
              AND others.place IS NOT NULL AND others.place <= workloads.place
              AND (others.place < workloads.place OR others.seq < workloads.seq)
            LIMIT :most
        ) AS before)
FROM workloads
WHERE api = :api AND id = :id AND status = 'in_queue' AND place IS NOT NULL;
