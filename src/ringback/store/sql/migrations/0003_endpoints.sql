-- Retries are taken apart from first attempts, so that a heap of one never hides the other.

DROP INDEX deliveries_pending;
CREATE INDEX deliveries_pending ON deliveries (endpoint, holder, (tries > 0), due_at, seq) WHERE state = 'pending';

-- Endpoints that nothing is sent to until somebody says so; their deliveries wait.

CREATE TABLE pauses (
    endpoint TEXT PRIMARY KEY,
    kind TEXT NOT NULL,
    reason TEXT NOT NULL,
    since {int} NOT NULL
);

-- A delivery that is sent again by hand begins its schedule anew: `base` is the number of attempts before that.

ALTER TABLE deliveries ADD COLUMN base {int} NOT NULL DEFAULT 0;

-- Endpoints that came with the submit, as JSON; none for nearly all.

ALTER TABLE workloads ADD COLUMN webhooks {bytes};

-- What went over the wire in each attempt, and how long each part took.

ALTER TABLE attempts ADD COLUMN dns_us {int};
ALTER TABLE attempts ADD COLUMN connect_us {int};
ALTER TABLE attempts ADD COLUMN wait_us {int};
ALTER TABLE attempts ADD COLUMN read_us {int};
ALTER TABLE attempts ADD COLUMN request_head {bytes};
ALTER TABLE attempts ADD COLUMN response_head {bytes};
ALTER TABLE attempts ADD COLUMN excerpt {bytes};

-- What all members sign with; made by the first that needs it.

CREATE TABLE keys (
    name TEXT PRIMARY KEY,
    value {bytes} NOT NULL
);
