-- Since when somebody has wanted a workload in progress to end; none for nearly all, which the index leaves out.

ALTER TABLE workloads ADD COLUMN cancel_at {int};
CREATE INDEX workloads_canceling ON workloads (holder) WHERE cancel_at IS NOT NULL;
