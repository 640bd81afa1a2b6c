-- What is due when, and leases, are moments of a timeline that nobody sets: `origin` plus what the clock says has
-- elapsed in this epoch (one boot of the machine). `seen` is the last moment noted: the next epoch begins no earlier.

CREATE TABLE timelines (
    epoch TEXT PRIMARY KEY,
    origin {int} NOT NULL,
    seen {int} NOT NULL
);
