-- name: log_out
INSERT INTO logouts (login, until) VALUES (:login, :until)
ON CONFLICT DO NOTHING;

-- name: forget_logouts
DELETE FROM logouts WHERE until <= :now;

-- name: logouts
SELECT login FROM logouts;
