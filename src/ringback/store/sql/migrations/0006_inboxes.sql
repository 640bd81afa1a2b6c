-- Requests captured by the inspector. Tables of their own: workloads and deliveries know nothing of them.
-- `dropped` is the number of the newest capture that is kept no longer; `change` counts all that happens in an inbox.

CREATE TABLE inboxes (
    seq {key},
    id TEXT NOT NULL,
    name TEXT NOT NULL,
    created_at {int} NOT NULL,
    captured {int} NOT NULL DEFAULT 0,
    dropped {int} NOT NULL DEFAULT 0,
    change {int} NOT NULL DEFAULT 0,
    kept_bytes {int} NOT NULL DEFAULT 0,
    script_from {int} NOT NULL DEFAULT 0,
    last_at {int},
    settings {bytes} NOT NULL
);

CREATE UNIQUE INDEX inboxes_by_id ON inboxes (id);
CREATE UNIQUE INDEX inboxes_by_name ON inboxes (name);

CREATE TABLE captures (
    seq {key},
    inbox {int} NOT NULL,
    number {int} NOT NULL,
    change {int} NOT NULL,
    received_at {int} NOT NULL,
    read_us {int} NOT NULL,
    message_id TEXT,
    method TEXT NOT NULL,
    http_version TEXT NOT NULL,
    peer TEXT NOT NULL,
    size_bytes {int} NOT NULL,
    kept {int} NOT NULL,
    nth {int} NOT NULL,
    act TEXT NOT NULL,
    status {int},
    answered_us {int},
    detail TEXT,
    target TEXT NOT NULL,
    head {bytes} NOT NULL,
    forwards {bytes},
    body {bytes} NOT NULL
);

CREATE UNIQUE INDEX captures_by_number ON captures (inbox, number);
CREATE UNIQUE INDEX captures_by_change ON captures (inbox, change);
CREATE INDEX captures_by_message ON captures (message_id, inbox, number) WHERE message_id IS NOT NULL;
