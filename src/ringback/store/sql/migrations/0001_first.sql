-- The first schema. {key} is a self-numbering integer key, {bytes} a byte string, {int} 64 bits, {real} 64 bits;
-- {by_key} keeps a table in its primary key, with no row number beside it.
-- Instants are integers of microseconds since the epoch. Large columns stand last: short reads then skip them.

CREATE TABLE members (
    id TEXT PRIMARY KEY,
    lease_until {int} NOT NULL
);

CREATE TABLE replicas (
    member TEXT NOT NULL,
    api TEXT NOT NULL,
    ready {int} NOT NULL,
    starting {int} NOT NULL,
    problem TEXT,
    PRIMARY KEY (member, api)
);

CREATE TABLE workloads (
    seq {key},
    api TEXT NOT NULL,
    id TEXT NOT NULL,
    status TEXT NOT NULL,
    attempt {int} NOT NULL DEFAULT 0,
    raised {int} NOT NULL DEFAULT 0,
    losses {int} NOT NULL DEFAULT 0,
    due_at {int} NOT NULL,
    holder TEXT,
    submitted_at {int} NOT NULL,
    started_at {int},
    finished_at {int},
    erased_at {int},
    fraction {real},
    message TEXT,
    error_type TEXT,
    error_message TEXT,
    trace_id TEXT,
    idempotency_key TEXT,
    fingerprint {bytes},
    content_type TEXT NOT NULL,
    headers {bytes} NOT NULL,
    payload {bytes} NOT NULL,
    result {bytes}
);

CREATE UNIQUE INDEX workloads_by_id ON workloads (api, id);
CREATE UNIQUE INDEX workloads_by_key ON workloads (api, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX workloads_queued ON workloads (api, due_at, seq) WHERE status = 'in_queue';
CREATE INDEX workloads_listed ON workloads (api, status, seq);
CREATE INDEX workloads_over ON workloads (api, finished_at) WHERE finished_at IS NOT NULL AND erased_at IS NULL;
CREATE INDEX workloads_erased ON workloads (erased_at) WHERE erased_at IS NOT NULL;

CREATE TABLE deliveries (
    seq {key},
    workload {int} NOT NULL,
    endpoint TEXT NOT NULL,
    url TEXT NOT NULL,
    message_id TEXT NOT NULL,
    event TEXT NOT NULL,
    state TEXT NOT NULL,
    tries {int} NOT NULL DEFAULT 0,
    due_at {int} NOT NULL,
    holder TEXT,
    created_at {int} NOT NULL,
    settled_at {int},
    reason TEXT,
    body {bytes} NOT NULL
);

CREATE INDEX deliveries_of ON deliveries (workload);
CREATE INDEX deliveries_pending ON deliveries (endpoint, holder, due_at, seq) WHERE state = 'pending';
CREATE INDEX deliveries_parked ON deliveries (endpoint, created_at) WHERE state = 'parked';

CREATE TABLE attempts (
    delivery {int} NOT NULL,
    number {int} NOT NULL,
    started_at {int} NOT NULL,
    duration_us {int} NOT NULL,
    outcome TEXT NOT NULL,
    status {int},
    detail TEXT,
    address TEXT,
    PRIMARY KEY (delivery, number)
){by_key};
