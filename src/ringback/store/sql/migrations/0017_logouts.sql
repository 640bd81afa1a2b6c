-- Logins to the pages that were ended before their time, until it is over. A table of its own: no workload knows of it.

CREATE TABLE logouts (
    login TEXT PRIMARY KEY,
    until {int} NOT NULL
){by_key};
