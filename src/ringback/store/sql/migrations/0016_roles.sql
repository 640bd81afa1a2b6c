-- What each member does of all there is to do; an older release does all of it.

ALTER TABLE members ADD COLUMN roles TEXT NOT NULL DEFAULT 'gateway,worker,dispatcher';
