-- 1: insert
INSERT INTO users VALUES ('one', 1), ('two', 2);
-- 2: update
UPDATE users SET name = 'uno' WHERE id = 1;
-- 3: update of a key
UPDATE users SET id = 10 WHERE id = 1;
-- 4: delete
DELETE FROM users WHERE id = 2;
-- 5: truncate
TRUNCATE users;
-- 6: a key of two columns, in the index's order
INSERT INTO pairs VALUES (1, 'x', 0);
UPDATE pairs SET n = 1;
UPDATE pairs SET a = 2;
DELETE FROM pairs;
-- 7: names and values that need quotes
INSERT INTO "Odd, ""schema"""."ta:ble: TRUNCATE: (no-flags)" VALUES ('k[text]:''1'' new-tuple:', 1);
UPDATE "Odd, ""schema"""."ta:ble: TRUNCATE: (no-flags)" SET "]:key" = 'null';
DELETE FROM "Odd, ""schema"""."ta:ble: TRUNCATE: (no-flags)";
-- 8: texts
INSERT INTO texts VALUES ('a,b'), ('say "hi"'), (E'two\nlines'), (E'carriage\rreturn'), (E'a\ttab'), (E'back\\slash'), ('it''s');
INSERT INTO texts VALUES (''), (' spaced '), ('é€😀'), (E'\u007f\u0001'), ('null'), ('COMMIT 1'), ('/');
-- 9: partitions
INSERT INTO visits VALUES (1, 'eu', 0), (2, 'us', 0);
UPDATE visits SET n = 1 WHERE id = 1;
UPDATE visits SET region = 'us' WHERE id = 1;
DELETE FROM visits WHERE id = 2;
TRUNCATE visits;
-- 10: truncate of several tables
INSERT INTO orders DEFAULT VALUES;
TRUNCATE orders, order_lines RESTART IDENTITY;
TRUNCATE orders CASCADE;
-- 11: a table without a key
INSERT INTO keyless VALUES (1);
INSERT INTO users VALUES ('beside it', 11);
UPDATE users SET name = NULL WHERE id = 11;
-- 12: rolled back in part
SAVEPOINT s;
INSERT INTO users VALUES ('never', 12);
ROLLBACK TO s;
INSERT INTO users VALUES ('so', 13);
-- 13: a replica identity that is the whole row
INSERT INTO entire VALUES (1, 'a'), (2, NULL);
UPDATE entire SET v = 'b' WHERE id = 1;
UPDATE entire SET id = 3 WHERE id = 1;
DELETE FROM entire;
-- 14: a table made in the same transaction, and messages
CREATE TABLE late (id int PRIMARY KEY);
SELECT pg_logical_emit_message(true, 'prefix', 'content');
SELECT pg_logical_emit_message(false, 'prefix', 'content');
INSERT INTO late VALUES (1);
-- 15: types
INSERT INTO moments VALUES ('2026-01-02 03:04:05.678+00');
INSERT INTO dates VALUES ('2026-01-02');
INSERT INTO bytes VALUES ('\x00ff');
INSERT INTO truths VALUES (true), (false);
INSERT INTO numbers VALUES (-12.50), ('NaN');
INSERT INTO floats VALUES (0.1), (1e300), ('-Infinity');
INSERT INTO bits VALUES (B'101');
INSERT INTO uuids VALUES ('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11');
INSERT INTO moods VALUES ('so so');
INSERT INTO amounts VALUES (7);
INSERT INTO lists VALUES ('{1,2}');
INSERT INTO spans VALUES ('1 year 2 days 03:04:05');
