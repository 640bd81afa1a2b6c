-- How attempts went that were not the workload's last, or were followed by a retry: none for those that run once.

CREATE TABLE past_attempts (
    seq {key},
    workload {int} NOT NULL,
    number {int},
    started_at {int},
    ended_at {int} NOT NULL,
    ending TEXT NOT NULL,
    error_type TEXT,
    error_message TEXT
);

CREATE INDEX past_attempts_of ON past_attempts (workload);
