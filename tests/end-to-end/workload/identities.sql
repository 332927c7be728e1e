-- tables of every replica identity
CREATE SCHEMA identities;
CREATE TABLE identities.by_default (note text, a int, b text, PRIMARY KEY (b, a));
CREATE TABLE identities.by_index (a int, b text NOT NULL, c int NOT NULL, note text);
CREATE UNIQUE INDEX by_index_key ON identities.by_index (c, b);
ALTER TABLE identities.by_index REPLICA IDENTITY USING INDEX by_index_key;
CREATE TABLE identities.index_beside_key (id int PRIMARY KEY, code text NOT NULL UNIQUE, note text);
ALTER TABLE identities.index_beside_key REPLICA IDENTITY USING INDEX index_beside_key_code_key;
CREATE TABLE identities.entire (a int, b text, c boolean, d numeric, e bytea);
ALTER TABLE identities.entire REPLICA IDENTITY FULL;
CREATE TABLE identities.entire_with_key (id int PRIMARY KEY, b text, c text);
ALTER TABLE identities.entire_with_key REPLICA IDENTITY FULL;
-- default
INSERT INTO identities.by_default VALUES ('x', 1, 'one'), (NULL, 2, 'it''s'), ('y', 3, '');
UPDATE identities.by_default SET note = 'z' WHERE a = 1;
UPDATE identities.by_default SET a = 10 WHERE a = 1;
UPDATE identities.by_default SET b = 'null', note = NULL WHERE a = 2;
UPDATE identities.by_default SET a = a, b = b;
DELETE FROM identities.by_default WHERE a = 3;
-- index
INSERT INTO identities.by_index VALUES (1, 'b', 1, 'x'), (NULL, 'c', 2, NULL), (3, '', 3, '');
UPDATE identities.by_index SET a = 7 WHERE c = 1;
UPDATE identities.by_index SET b = 'bb' WHERE c = 1;
UPDATE identities.by_index SET c = 20, note = 'new-tuple:' WHERE c = 2;
DELETE FROM identities.by_index WHERE c = 3;
INSERT INTO identities.index_beside_key VALUES (1, 'a', 'x'), (2, 'b', 'y'), (3, 'c', 'z');
UPDATE identities.index_beside_key SET id = 10 WHERE id = 1;
UPDATE identities.index_beside_key SET code = 'bb' WHERE id = 2;
DELETE FROM identities.index_beside_key WHERE id = 3;
-- full, with NULLs, and rows that are there twice
INSERT INTO identities.entire VALUES (1, 'a', true, 1.10, '\x00'), (2, NULL, NULL, NULL, NULL), (NULL, NULL, NULL, NULL, NULL);
INSERT INTO identities.entire VALUES (5, 'twice'), (5, 'twice');
UPDATE identities.entire SET b = 'b' WHERE a = 1;
UPDATE identities.entire SET b = NULL WHERE a = 1;
UPDATE identities.entire SET c = false WHERE a = 2;
UPDATE identities.entire SET d = 0 WHERE a IS NULL;
UPDATE identities.entire SET d = NULL WHERE a IS NULL;
UPDATE identities.entire SET c = true WHERE ctid = (SELECT ctid FROM identities.entire WHERE a = 5 LIMIT 1);
DELETE FROM identities.entire WHERE a IS NULL OR a = 2;
INSERT INTO identities.entire_with_key VALUES (1, NULL, 'c'), (2, 'old-key:', NULL), (3, '', '''');
UPDATE identities.entire_with_key SET id = 10 WHERE id = 1;
UPDATE identities.entire_with_key SET b = NULL WHERE id = 2;
DELETE FROM identities.entire_with_key WHERE id = 3;
-- tables without any, whose updates a publication would refuse, and of which it therefore is told inserts only
CREATE SCHEMA unidentified;
CREATE TABLE unidentified.keyless (a int, b text);
CREATE TABLE unidentified.nothing (id int PRIMARY KEY, b text);
ALTER TABLE unidentified.nothing REPLICA IDENTITY NOTHING;
ALTER PUBLICATION everything SET (publish = 'insert');
INSERT INTO unidentified.keyless VALUES (1, 'a'), (2, NULL);
UPDATE unidentified.keyless SET b = 'b' WHERE a = 1;
DELETE FROM unidentified.keyless WHERE a = 2;
INSERT INTO unidentified.nothing VALUES (1, 'a'), (2, 'b');
UPDATE unidentified.nothing SET id = 3 WHERE id = 1;
DELETE FROM unidentified.nothing WHERE id = 2;
ALTER PUBLICATION everything SET (publish = 'insert, update, delete');
-- 11+: the same again for what came later
ALTER PUBLICATION everything SET (publish = 'insert, update, delete, truncate');
-- 10-11: object identifiers in every row
CREATE TABLE identities.with_oids (id int PRIMARY KEY, note text) WITH OIDS;
CREATE TABLE identities.entire_with_oids (id int, note text) WITH OIDS;
ALTER TABLE identities.entire_with_oids REPLICA IDENTITY FULL;
CREATE TABLE identities.by_oid (note text) WITH OIDS;
CREATE UNIQUE INDEX by_oid_key ON identities.by_oid (oid);
ALTER TABLE identities.by_oid REPLICA IDENTITY USING INDEX by_oid_key;
INSERT INTO identities.with_oids VALUES (1, 'a'), (2, NULL);
UPDATE identities.with_oids SET id = 3 WHERE id = 1;
UPDATE identities.with_oids SET note = 'b' WHERE id = 3;
DELETE FROM identities.with_oids WHERE id = 2;
INSERT INTO identities.entire_with_oids VALUES (1, 'a'), (2, NULL);
UPDATE identities.entire_with_oids SET note = 'b' WHERE id = 1;
DELETE FROM identities.entire_with_oids WHERE id = 2;
INSERT INTO identities.by_oid VALUES ('a'), ('b');
