-- Unfinished workloads, counted as they come and go, so that no count grows with the queue. Each member keeps a row of
-- its own, which no other waits for: the sums count, single rows may be below zero. Those of a tenant are shared.

CREATE TABLE tallies (
    api TEXT NOT NULL,
    tenant TEXT NOT NULL,
    member TEXT NOT NULL,
    unfinished {int} NOT NULL,
    PRIMARY KEY (api, tenant, member)
){by_key};

INSERT INTO tallies (api, tenant, member, unfinished)
SELECT api, '', '', count(CASE WHEN status IN ('in_queue', 'in_progress') THEN 1 END) FROM workloads GROUP BY api;
