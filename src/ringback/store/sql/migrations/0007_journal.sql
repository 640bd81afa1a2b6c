-- What predict said on the way: one row for some of its text, a word about progress, or an output. `place` is the text's
-- first line or the output's index.

CREATE TABLE journal (
    workload {int} NOT NULL,
    number {int} NOT NULL,
    attempt {int} NOT NULL,
    at {int} NOT NULL,
    kind TEXT NOT NULL,
    place {int} NOT NULL,
    body {bytes} NOT NULL,
    PRIMARY KEY (workload, number)
){by_key};
