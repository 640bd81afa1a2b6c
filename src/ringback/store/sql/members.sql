-- name: join
INSERT INTO members (id, lease_until, roles) VALUES (:member, :lease_until, :roles);

-- name: roster
SELECT id, roles, about FROM members ORDER BY id;

-- name: introduce
UPDATE members SET about = :about WHERE id = :member;

-- name: renew
UPDATE members SET lease_until = :lease_until WHERE id = :member;

-- name: everyone
SELECT id, lease_until FROM members;

-- name: leave
DELETE FROM members WHERE id = :member;

-- name: forget_replicas
DELETE FROM replicas WHERE member = :member;

-- name: report
INSERT INTO replicas (member, api, ready, starting, problem, preparing)
VALUES (:member, :api, :ready, :starting, :problem, :preparing)
ON CONFLICT (member, api) DO UPDATE
SET ready = excluded.ready, starting = excluded.starting, problem = excluded.problem, preparing = excluded.preparing;

-- name: retract
DELETE FROM replicas WHERE member = :member AND api = :api;

-- name: reports
SELECT member, api, ready, starting, problem, preparing FROM replicas WHERE member IN (SELECT id FROM members);

-- name: timelines
SELECT epoch, origin, seen FROM timelines;

-- name: begin_timeline
INSERT INTO timelines (epoch, origin, seen) VALUES (:epoch, :origin, :seen);

-- name: note_timeline
UPDATE timelines SET seen = :seen WHERE epoch = :epoch;

-- name: forget_timelines
DELETE FROM timelines;

-- name: move_notes
SELECT name, value FROM keys WHERE name IN ('moving', 'moved', 'filling');

-- name: key
SELECT value FROM keys WHERE name = :name;

-- name: make_key
INSERT INTO keys (name, value) VALUES (:name, :value);
