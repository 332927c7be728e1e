-- tables without columns, or with one that is gone
CREATE SCHEMA tables;
CREATE TABLE tables.empty ();
ALTER TABLE tables.empty REPLICA IDENTITY FULL;
INSERT INTO tables.empty DEFAULT VALUES;
INSERT INTO tables.empty DEFAULT VALUES;
DELETE FROM tables.empty WHERE ctid = (SELECT ctid FROM tables.empty LIMIT 1);
CREATE TABLE tables.dropped (id int PRIMARY KEY, a text, b text);
ALTER TABLE tables.dropped DROP COLUMN a;
INSERT INTO tables.dropped VALUES (1, 'b');
UPDATE tables.dropped SET b = 'c';
CREATE TABLE tables.single (id int PRIMARY KEY);
INSERT INTO tables.single VALUES (1);
UPDATE tables.single SET id = 2;
DELETE FROM tables.single;
-- rows that come many at a time
CREATE TABLE tables.copied (a int PRIMARY KEY, b text);
COPY tables.copied FROM PROGRAM 'seq 1 400 | sed "s/.*/&\tit''s &/"';
COPY tables.copied (b, a) FROM PROGRAM 'printf "\\\\N\t1001\n\t1002\n\\\\\\\\\t1003\n''''\t1004\n"';
-- rows that are there already
INSERT INTO tables.copied VALUES (1, 'again'), (2000, 'new') ON CONFLICT (a) DO UPDATE SET b = excluded.b;
INSERT INTO tables.copied VALUES (1, 'never'), (2001, 'new') ON CONFLICT DO NOTHING;
UPDATE tables.copied SET a = a + 10000 WHERE a <= 50;
DELETE FROM tables.copied WHERE a BETWEEN 60 AND 90;
-- tables made of a query
CREATE TABLE tables.made AS SELECT a, b FROM tables.copied WHERE a > 1000;
-- views that hold rows, of which no publication tells
CREATE SCHEMA unpublished;
CREATE MATERIALIZED VIEW unpublished.held AS SELECT a, b FROM tables.copied WHERE a > 10000;
CREATE UNIQUE INDEX held_key ON unpublished.held (a);
-- refreshed as a whole
UPDATE tables.copied SET b = 'refreshed' WHERE a > 10040;
REFRESH MATERIALIZED VIEW unpublished.held;
-- refreshed row by row, which does not work while all names are quoted
SET LOCAL quote_all_identifiers = off;
UPDATE tables.copied SET b = 'and again' WHERE a > 10045;
REFRESH MATERIALIZED VIEW CONCURRENTLY unpublished.held;
-- what leaves no trace
CREATE TEMPORARY TABLE passing (id int PRIMARY KEY);
INSERT INTO passing VALUES (1);
CREATE UNLOGGED TABLE tables.unlogged (id int PRIMARY KEY);
INSERT INTO tables.unlogged VALUES (1);
DROP TABLE tables.unlogged;
-- rolled back in part
CREATE TABLE tables.parts (id int PRIMARY KEY, b text);
BEGIN;
INSERT INTO tables.parts VALUES (1, 'kept');
SAVEPOINT a;
INSERT INTO tables.parts VALUES (2, 'gone');
SAVEPOINT b;
UPDATE tables.parts SET b = 'gone' WHERE id = 1;
RELEASE b;
ROLLBACK TO a;
INSERT INTO tables.parts VALUES (2, 'kept');
SAVEPOINT c;
DELETE FROM tables.parts WHERE id = 1;
RELEASE c;
INSERT INTO tables.parts VALUES (3, 'kept');
COMMIT;
-- rolled back as a whole
BEGIN;
INSERT INTO tables.parts VALUES (4, 'gone');
ROLLBACK;
-- prepared
BEGIN;
INSERT INTO tables.parts VALUES (6, 'prepared');
UPDATE tables.parts SET id = 7 WHERE id = 6;
PREPARE TRANSACTION 'it''s \';
-- something between
INSERT INTO tables.parts VALUES (8, 'between');
-- committed
COMMIT PREPARED 'it''s \';
-- prepared in vain
BEGIN;
INSERT INTO tables.parts VALUES (9, 'gone');
PREPARE TRANSACTION 'x';
-- rolled back
ROLLBACK PREPARED 'x';
-- locked rows, which are written to the WAL and tell nothing
BEGIN;
SELECT FROM tables.parts WHERE id = 2 FOR UPDATE;
SELECT FROM tables.parts WHERE id = 3 FOR KEY SHARE;
UPDATE tables.parts SET b = 'locked before' WHERE id = 2;
COMMIT;
-- identity columns and sequences
CREATE TABLE tables.counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, s serial, b text DEFAULT 'it''s the default');
INSERT INTO tables.counted DEFAULT VALUES;
INSERT INTO tables.counted (b) VALUES (NULL), ('x') RETURNING id;
UPDATE tables.counted SET s = 100 WHERE id = 1;
-- inheritance
CREATE TABLE tables.parent (id int PRIMARY KEY, b text);
CREATE TABLE tables.child (c int, PRIMARY KEY (id)) INHERITS (tables.parent);
INSERT INTO tables.parent VALUES (1, 'parent');
INSERT INTO tables.child VALUES (2, 'child', 3);
UPDATE tables.parent SET b = b || '''';
DELETE FROM tables.parent WHERE id = 2;
-- as many columns as a table can have
DO $$
    BEGIN
        EXECUTE 'CREATE TABLE tables.wide (' || (SELECT string_agg(format('"c %s]:" int', n), ', ') FROM generate_series(1, 1600) n) || ')';
        ALTER TABLE tables.wide REPLICA IDENTITY FULL;
    END
$$;
INSERT INTO tables.wide ("c 1]:", "c 1600]:") VALUES (1, 1600);
INSERT INTO tables.wide SELECT FROM generate_series(1, 3);
UPDATE tables.wide SET "c 800]:" = 800 WHERE "c 1]:" = 1;
DELETE FROM tables.wide WHERE "c 1]:" = 1;
-- triggers and references
CREATE TABLE tables.deleting (id int PRIMARY KEY, parent int REFERENCES tables.counted ON DELETE CASCADE ON UPDATE SET NULL);
CREATE FUNCTION tables.notice() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        INSERT INTO tables.single VALUES (OLD.id + 1000);
        RETURN OLD;
    END
$$;
CREATE TRIGGER notice AFTER DELETE ON tables.deleting FOR EACH ROW EXECUTE PROCEDURE tables.notice();
INSERT INTO tables.deleting VALUES (1, 2), (2, 2), (3, 3);
DELETE FROM tables.counted WHERE id = 2;
-- 15+: merged
MERGE INTO tables.copied c USING (VALUES (101, 'x'), (102, NULL), (103, NULL), (5001, 'new')) v (a, b) ON c.a = v.a
    WHEN MATCHED AND v.b IS NULL THEN DELETE
    WHEN MATCHED THEN UPDATE SET b = v.b
    WHEN NOT MATCHED THEN INSERT VALUES (v.a, v.b);
-- 11+: truncated in every way
CREATE TABLE tables.owner (id serial PRIMARY KEY);
CREATE TABLE tables.refers (id int PRIMARY KEY, owner int REFERENCES tables.owner);
CREATE TABLE tables.refers_too (id int PRIMARY KEY, owner int REFERENCES tables.refers);
INSERT INTO tables.owner DEFAULT VALUES;
INSERT INTO tables.refers VALUES (1, 1);
BEGIN;
TRUNCATE tables.parts;
TRUNCATE tables.owner CASCADE;
INSERT INTO tables.owner DEFAULT VALUES;
TRUNCATE tables.owner, tables.refers, tables.refers_too RESTART IDENTITY;
INSERT INTO tables.owner DEFAULT VALUES;
TRUNCATE tables.owner RESTART IDENTITY CASCADE;
TRUNCATE tables.parent;
INSERT INTO tables.parts VALUES (5, 'after it');
COMMIT;
-- 11+: truncated in the transaction that made it, and in one that was rolled back in part
BEGIN;
CREATE TABLE tables.short_lived (id int PRIMARY KEY);
INSERT INTO tables.short_lived VALUES (1);
TRUNCATE tables.short_lived;
INSERT INTO tables.short_lived VALUES (2);
SAVEPOINT a;
TRUNCATE tables.short_lived, tables.parts;
ROLLBACK TO a;
COMMIT;
-- 11+: partitions
CREATE TABLE tables.visits (id int, region text, n int, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
CREATE TABLE tables.visits_eu PARTITION OF tables.visits FOR VALUES IN ('eu') PARTITION BY RANGE (id);
CREATE TABLE tables.visits_eu_1 PARTITION OF tables.visits_eu FOR VALUES FROM (0) TO (10);
CREATE TABLE tables.visits_eu_2 (n int, region text NOT NULL, gone int, id int NOT NULL, PRIMARY KEY (id, region));
ALTER TABLE tables.visits_eu_2 DROP COLUMN gone;
ALTER TABLE tables.visits_eu ATTACH PARTITION tables.visits_eu_2 FOR VALUES FROM (10) TO (20);
CREATE TABLE tables.visits_us PARTITION OF tables.visits FOR VALUES IN ('us');
INSERT INTO tables.visits VALUES (1, 'eu', 0), (11, 'eu', 0), (2, 'us', 0);
UPDATE tables.visits SET n = 1 WHERE id = 11;
UPDATE tables.visits SET region = 'us' WHERE id = 1;
UPDATE tables.visits SET id = 3 WHERE id = 11;
DELETE FROM tables.visits WHERE id = 2;
-- 11+: partitions truncated, by themselves and with their roots
TRUNCATE tables.visits_us;
TRUNCATE tables.visits_eu, tables.parts;
TRUNCATE tables.visits;
INSERT INTO tables.visits VALUES (4, 'eu', 0);
-- 12+: generated columns that are stored
CREATE TABLE tables.generated (id int PRIMARY KEY, a int, twice int GENERATED ALWAYS AS (a * 2) STORED, note text,
    quoted text GENERATED ALWAYS AS ('it''s ' || note) STORED);
CREATE TABLE tables.generated_entire (a int, twice int GENERATED ALWAYS AS (a * 2) STORED, note text);
INSERT INTO tables.generated (id, a, note) VALUES (1, 2, 'x'), (2, NULL, NULL);
UPDATE tables.generated SET a = 3 WHERE id = 1;
UPDATE tables.generated SET id = 3 WHERE id = 2;
DELETE FROM tables.generated WHERE id = 3;
INSERT INTO tables.generated_entire (a, note) VALUES (1, 'a'), (2, 'b');
-- 18+: generated columns that are computed when they are read
CREATE TABLE tables.virtual (id int PRIMARY KEY, a int, thrice int GENERATED ALWAYS AS (a * 3), "it's" text GENERATED ALWAYS AS ('x') VIRTUAL, note text);
CREATE TABLE tables.virtual_entire (a int, thrice int GENERATED ALWAYS AS (a * 3) VIRTUAL, note text);
ALTER TABLE tables.virtual_entire REPLICA IDENTITY FULL;
INSERT INTO tables.virtual (id, a, note) VALUES (1, 2, 'x'), (2, NULL, NULL);
UPDATE tables.virtual SET a = 3 WHERE id = 1;
UPDATE tables.virtual SET id = 3 WHERE id = 2;
DELETE FROM tables.virtual WHERE id = 3;
INSERT INTO tables.virtual_entire (a, note) VALUES (1, 'a'), (2, 'b');
-- 18+: such a column as part of an identity, with which no publication can have updates
ALTER PUBLICATION everything SET (publish = 'insert, truncate');
UPDATE tables.virtual_entire SET a = 3 WHERE a = 1;
DELETE FROM tables.virtual_entire WHERE a = 2;
ALTER PUBLICATION everything SET (publish = 'insert, update, delete, truncate');
