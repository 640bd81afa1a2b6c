-- Large payloads and results are kept elsewhere: here stands which workload each belongs to, and which are to be
-- removed. Plain workloads have no row here, and only a NULL in `large`.

CREATE TABLE blobs (
    key TEXT PRIMARY KEY,
    workload {int} NOT NULL,
    part TEXT NOT NULL,
    size {int} NOT NULL,
    content_type TEXT NOT NULL,
    is_doomed {int} NOT NULL DEFAULT 0
){by_key};

CREATE INDEX blobs_of ON blobs (workload);
CREATE INDEX blobs_doomed ON blobs (key) WHERE is_doomed = 1;

ALTER TABLE workloads ADD COLUMN large {int};
