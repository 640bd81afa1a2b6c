-- `place` is where a workload stands in its tenant's line: its due time, earlier the higher its priority. It has none
-- while it waits for its time, nor once it has left the queue. A plain one is in `workloads_queued` alone, as before.

ALTER TABLE workloads ADD COLUMN place {int};
ALTER TABLE workloads ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
ALTER TABLE workloads ADD COLUMN priority {int} NOT NULL DEFAULT 0;
ALTER TABLE workloads ADD COLUMN expires_at {int};

DROP INDEX workloads_queued;
CREATE INDEX workloads_queued ON workloads (api, tenant, place, seq) WHERE place IS NOT NULL;
CREATE INDEX workloads_waiting ON workloads (api, due_at) WHERE status = 'in_queue' AND place IS NULL;
CREATE INDEX workloads_expiring ON workloads (api, expires_at) WHERE expires_at IS NOT NULL AND place IS NOT NULL;

-- Whose turn it is: one row for each tenant of an API that is shared, none for an API that is not. The lowest turn is
-- next; those that are served get the highest. `waiting` is a hint: a tenant that has nothing is found out and passed by.

CREATE TABLE turns (
    seq {key},
    api TEXT NOT NULL,
    tenant TEXT NOT NULL,
    turn {int} NOT NULL,
    waiting {int} NOT NULL
);

CREATE UNIQUE INDEX turns_of ON turns (api, tenant);
CREATE INDEX turns_taken ON turns (api, turn);
CREATE INDEX turns_waiting ON turns (api, turn, seq) WHERE waiting = 1;
CREATE INDEX tallies_spent ON tallies (api, tenant, member) WHERE unfinished = 0 AND tenant <> '';
