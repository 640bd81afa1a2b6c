-- Endpoints registered with a running server. `revision` numbers the changes of all of them, so that a member reads only
-- what it has not seen; a removed one stays for a while, so that every member hears of it and its webhooks have a name.

CREATE TABLE endpoints (
    endpoint TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    apis TEXT,
    settings {bytes} NOT NULL,
    secrets {bytes} NOT NULL,
    created_at {int} NOT NULL,
    removed_at {int},
    undelivered TEXT,
    revision {int} NOT NULL
){by_key};

CREATE INDEX endpoints_changed ON endpoints (revision);
CREATE INDEX endpoints_removed ON endpoints (endpoint) WHERE removed_at IS NOT NULL;

CREATE TABLE revisions (
    name TEXT PRIMARY KEY,
    value {int} NOT NULL
);

INSERT INTO revisions (name, value) VALUES ('endpoints', 0);
