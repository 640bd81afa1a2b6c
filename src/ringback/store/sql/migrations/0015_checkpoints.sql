-- The last words of a running workload to its next attempt: none for those that leave none.

CREATE TABLE checkpoints (
    workload {int} PRIMARY KEY,
    attempt {int} NOT NULL,
    kept_at {int} NOT NULL,
    data {bytes} NOT NULL
);
