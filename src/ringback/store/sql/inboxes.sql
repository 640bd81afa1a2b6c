-- name: count_inboxes
SELECT count(*) FROM inboxes;

-- name: insert_inbox
INSERT INTO inboxes (id, name, created_at, settings) VALUES (:id, :name, :now, :settings)
ON CONFLICT DO NOTHING;

-- name: inbox_named
SELECT seq, id, name, created_at, captured, dropped, change, kept_bytes, last_at, settings, script_from
FROM inboxes WHERE id = :id OR name = :name;

-- name: inbox
SELECT seq, id, name, created_at, captured, dropped, change, kept_bytes, last_at, settings, script_from
FROM inboxes WHERE id = :id;

-- name: all_inboxes
SELECT seq, id, name, created_at, captured, dropped, change, kept_bytes, last_at, settings, script_from
FROM inboxes ORDER BY seq DESC;

-- name: change_inbox
UPDATE inboxes SET settings = :settings, script_from = :script_from WHERE id = :id;

-- name: drop_inbox
DELETE FROM inboxes WHERE seq = :inbox;

-- name: drop_all_captures
DELETE FROM captures WHERE inbox = :inbox;

-- name: clear_inbox
UPDATE inboxes SET dropped = captured, kept_bytes = 0, change = change + 1 WHERE seq = :inbox;

-- name: count_capture
UPDATE inboxes SET captured = captured + 1, change = change + 1, kept_bytes = kept_bytes + :kept, last_at = :now
WHERE id = :id
RETURNING seq, captured, dropped, change, kept_bytes, settings, script_from;

-- name: count_cut
UPDATE inboxes SET kept_bytes = kept_bytes - :excess WHERE seq = :inbox;

-- name: turns_of_message
SELECT coalesce(max(nth), 0) FROM captures
WHERE message_id = :message_id AND inbox = :inbox AND number > :script_from;

-- name: insert_capture
INSERT INTO captures (inbox, number, change, received_at, read_us, message_id, method, http_version, peer, size_bytes,
                      kept, nth, act, status, target, head, body)
VALUES (:inbox, :number, :change, :received_at, :read_us, :message_id, :method, :http_version, :peer, :size_bytes,
        :kept, :nth, :act, :status, :target, :head, :body);

-- name: oldest_captures
SELECT number, kept, received_at FROM captures WHERE inbox = :inbox ORDER BY number LIMIT :room;

-- name: drop_captures
DELETE FROM captures WHERE inbox = :inbox AND number <= :upto;

-- name: count_dropped
UPDATE inboxes SET dropped = :upto, kept_bytes = kept_bytes - :kept WHERE seq = :inbox;

-- name: count_change
UPDATE inboxes SET change = change + 1 WHERE seq = :inbox RETURNING change;

-- name: place_of_capture
SELECT captures.inbox, forwards FROM captures JOIN inboxes ON inboxes.seq = captures.inbox
WHERE id = :id AND number = :number;

-- name: note_answer
UPDATE captures SET change = :change, act = :act, status = :status, answered_us = :answered_us, detail = :detail
WHERE inbox = :inbox AND number = :number;

-- name: note_forwards
UPDATE captures SET change = :change, forwards = :forwards WHERE inbox = :inbox AND number = :number;

-- name: one_capture
SELECT number, captures.change, received_at, read_us, message_id, method, http_version, peer, size_bytes, kept,
       act, status, answered_us, detail, target, head, forwards, body
FROM captures JOIN inboxes ON inboxes.seq = captures.inbox
WHERE id = :id AND number = :number;

-- name: captures_since
SELECT number, captures.change, received_at, read_us, message_id, method, http_version, peer, size_bytes, kept,
       act, status, answered_us, detail, target, head, forwards, substr(body, 1, :preview) AS body
FROM captures
WHERE inbox = :inbox AND captures.change > :after
ORDER BY captures.change
LIMIT :limit;

-- name: page_of_captures
SELECT number, captures.change, received_at, read_us, message_id, method, http_version, peer, size_bytes, kept,
       act, status, answered_us, detail, target, head, forwards, substr(body, 1, :preview) AS body
FROM captures
WHERE inbox = :inbox AND number < :before
  AND (CAST(:message_id AS TEXT) IS NULL OR message_id = :message_id)
  AND (CAST(:method AS TEXT) IS NULL OR method = :method)
  AND (CAST(:status AS {int}) IS NULL OR status = :status)
  AND (CAST(:header AS TEXT) IS NULL OR {head_has})
  AND (CAST(:body AS {bytes}) IS NULL OR {body_has})
ORDER BY number DESC
LIMIT :limit;

-- name: captures_of_message
SELECT number, captures.change, received_at, read_us, message_id, method, http_version, peer, size_bytes, kept,
       act, status, answered_us, detail, target, head, forwards, substr(body, 1, :preview) AS body, id
FROM captures JOIN inboxes ON inboxes.seq = captures.inbox
WHERE message_id = :message_id
ORDER BY received_at DESC, captures.seq DESC
LIMIT :limit;

-- name: inboxes_with_captures
SELECT seq, id, dropped FROM inboxes WHERE captured > dropped;

-- name: last_delivery
SELECT max(seq) FROM deliveries;

-- name: delivery_from
SELECT seq, created_at FROM deliveries WHERE seq >= :seq ORDER BY seq LIMIT 1;

-- name: deliveries_of_message
SELECT seq, body FROM deliveries
WHERE seq >= :from_seq AND seq < :to_seq AND message_id = :message_id
ORDER BY seq;
