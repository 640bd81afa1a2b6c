-- What each member tells the others of itself: its server, and the digest of each API in its file; an older release nothing.

ALTER TABLE members ADD COLUMN about TEXT;
