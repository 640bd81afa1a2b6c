-- Many workloads handed in as one. What has come of a batch is staged, where nobody sees it; once it is accepted, its
-- lines are poured into the queue, and each end is counted. A workload that is in no batch pays a test for nothing.

CREATE TABLE batches (
    seq {key},
    api TEXT NOT NULL,
    id TEXT NOT NULL,
    state TEXT NOT NULL,
    holder TEXT,
    idempotency_key TEXT,
    fingerprint {bytes},
    total {int} NOT NULL DEFAULT 0,
    completed {int} NOT NULL DEFAULT 0,
    failed {int} NOT NULL DEFAULT 0,
    canceled {int} NOT NULL DEFAULT 0,
    due_at {int} NOT NULL,
    submitted_at {int} NOT NULL,
    finished_at {int},
    told {int} NOT NULL DEFAULT 0,
    template {bytes} NOT NULL
);

CREATE UNIQUE INDEX batches_by_id ON batches (id);
CREATE UNIQUE INDEX batches_by_key ON batches (api, idempotency_key) WHERE idempotency_key IS NOT NULL;
CREATE INDEX batches_unsettled ON batches (state, seq) WHERE state <> 'taken_in';
CREATE INDEX batches_untold ON batches (api) WHERE finished_at IS NOT NULL AND told = 0;
CREATE INDEX batches_over ON batches (finished_at) WHERE finished_at IS NOT NULL AND told = 1;

CREATE TABLE staged (
    batch {int} NOT NULL,
    line {int} NOT NULL,
    id TEXT NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (batch, line)
){by_key};

ALTER TABLE workloads ADD COLUMN batch {int};
CREATE INDEX workloads_of_batch ON workloads (batch, status, seq) WHERE batch IS NOT NULL;
