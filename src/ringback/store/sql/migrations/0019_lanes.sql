-- Who sends to an endpoint: one row for each, written when that changes and when its breaker opens or closes.

CREATE TABLE lanes (
    endpoint TEXT NOT NULL PRIMARY KEY,
    member TEXT NOT NULL,
    takes {int} NOT NULL,
    tripped {int} NOT NULL
);

CREATE INDEX lanes_tripped ON lanes (endpoint) WHERE tripped = 1;
