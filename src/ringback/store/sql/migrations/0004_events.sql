-- A delivery keeps how its body was written, so that a later change of the file leaves its headers as they must be, and
-- its event's place among those of its workload.

ALTER TABLE deliveries ADD COLUMN format TEXT NOT NULL DEFAULT 'cortex';
ALTER TABLE deliveries ADD COLUMN sequence {int} NOT NULL DEFAULT 1;
ALTER TABLE workloads ADD COLUMN told {int} NOT NULL DEFAULT 0;

-- Deliveries with one order key go out one after the other: all but the first have no time yet, and get one when what
-- is before them has arrived.

ALTER TABLE workloads ADD COLUMN order_key TEXT;
ALTER TABLE deliveries ADD COLUMN order_key TEXT;
CREATE INDEX deliveries_ordered ON deliveries (endpoint, order_key, seq)
WHERE order_key IS NOT NULL AND state <> 'delivered';
