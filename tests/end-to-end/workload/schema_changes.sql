-- between transactions
CREATE SCHEMA changing;
CREATE TABLE changing.between (id int PRIMARY KEY, a text);
INSERT INTO changing.between VALUES (1, 'a');
-- a column more
ALTER TABLE changing.between ADD COLUMN b int DEFAULT 7;
-- used
INSERT INTO changing.between VALUES (2, 'a', 8);
UPDATE changing.between SET a = 'x' WHERE id = 1;
-- a column less
ALTER TABLE changing.between DROP COLUMN a;
-- used again
UPDATE changing.between SET b = 9 WHERE id = 1;
-- renamed
ALTER TABLE changing.between RENAME COLUMN b TO "new ""name";
ALTER TABLE changing.between RENAME TO "renamed table";
ALTER SCHEMA changing RENAME TO "changing now";
-- under the new names
UPDATE "changing now"."renamed table" SET "new ""name" = 10;
DELETE FROM "changing now"."renamed table" WHERE id = 1;
ALTER SCHEMA "changing now" RENAME TO changing;
-- in the middle of a transaction
BEGIN;
CREATE TABLE changing.within (id int PRIMARY KEY, a text, big text);
INSERT INTO changing.within VALUES (1, 'a', 'x');
ALTER TABLE changing.within ADD COLUMN b int DEFAULT 7;
INSERT INTO changing.within VALUES (2, 'b', NULL, 8);
ALTER TABLE changing.within DROP COLUMN a;
UPDATE changing.within SET b = b + 1;
ALTER TABLE changing.within RENAME COLUMN b TO c;
UPDATE changing.within SET c = c + 1;
ALTER TABLE changing.within ALTER COLUMN c TYPE text USING 'it''s ' || c;
UPDATE changing.within SET c = c || '!';
ALTER TABLE changing.within RENAME TO "renamed within";
INSERT INTO changing."renamed within" VALUES (3, NULL, '');
ALTER TABLE changing."renamed within" REPLICA IDENTITY FULL;
UPDATE changing."renamed within" SET big = 'y' WHERE id = 3;
ALTER TABLE changing."renamed within" REPLICA IDENTITY DEFAULT;
DELETE FROM changing."renamed within" WHERE id = 1;
SAVEPOINT s;
ALTER TABLE changing."renamed within" ADD COLUMN never int DEFAULT 1;
INSERT INTO changing."renamed within" VALUES (4, 'x', 'x', 1);
ROLLBACK TO s;
INSERT INTO changing."renamed within" VALUES (4, 'x', 'x');
COMMIT;
-- rewritten, by another type and as a whole
CREATE TABLE changing.rewritten (id int PRIMARY KEY, n int, t text);
INSERT INTO changing.rewritten SELECT i, i, 'it''s ' || i FROM generate_series(1, 20) i;
-- rewritten, between changes
BEGIN;
INSERT INTO changing.rewritten VALUES (21, 21, 'x');
ALTER TABLE changing.rewritten ALTER COLUMN n TYPE text;
INSERT INTO changing.rewritten VALUES (22, '22', 'y');
ALTER TABLE changing.rewritten ALTER COLUMN id TYPE bigint;
UPDATE changing.rewritten SET t = 'z' WHERE id > 20;
COMMIT;
-- rewritten, by maintenance
VACUUM FULL changing.rewritten;
-- rewritten, by order
CLUSTER changing.rewritten USING rewritten_pkey;
-- rewritten, for its persistence
ALTER TABLE changing.rewritten SET UNLOGGED;
-- not told
UPDATE changing.rewritten SET t = 'unlogged' WHERE id = 1;
-- rewritten, for its persistence again
ALTER TABLE changing.rewritten SET LOGGED;
-- used afterwards
DELETE FROM changing.rewritten WHERE id > 10;
-- another key
CREATE TABLE changing.keys (a int PRIMARY KEY, b int NOT NULL, note text);
INSERT INTO changing.keys VALUES (1, 1, 'x'), (2, 2, 'y');
UPDATE changing.keys SET a = 10 WHERE a = 1;
ALTER TABLE changing.keys DROP CONSTRAINT keys_pkey, ADD PRIMARY KEY (b);
UPDATE changing.keys SET b = 20 WHERE b = 2;
DELETE FROM changing.keys WHERE b = 1;
-- gone before anyone reads of it
CREATE TABLE changing.gone (id int PRIMARY KEY, m custom.mood);
INSERT INTO changing.gone VALUES (1, 'glad');
UPDATE changing.gone SET id = 2;
-- gone
DROP TABLE changing.gone;
-- a type that changes its name and its values
CREATE TYPE changing.colour AS ENUM ('red');
CREATE TABLE changing.coloured (id int PRIMARY KEY, c changing.colour);
INSERT INTO changing.coloured VALUES (1, 'red');
-- a type renamed
ALTER TYPE changing.colour RENAME TO "Colour of ]:'";
-- a type renamed, used
INSERT INTO changing.coloured VALUES (2, 'red');
