-- values that are stored apart from their row
CREATE SCHEMA large;
CREATE FUNCTION large.noise(seed text, length int) RETURNS text LANGUAGE sql AS
    'SELECT substr(string_agg(md5($1 || n), ''''), 1, $2) FROM generate_series(1, $2 / 32 + 1) n';
CREATE TABLE large.by_default (id int PRIMARY KEY, small text, big text, packed text, bytes bytea, note text);
ALTER TABLE large.by_default ALTER big SET STORAGE EXTERNAL;
CREATE TABLE large.entire (id int PRIMARY KEY, small text, big text, packed text, bytes bytea, note text);
ALTER TABLE large.entire ALTER big SET STORAGE EXTERNAL;
ALTER TABLE large.entire REPLICA IDENTITY FULL;
CREATE TABLE large.in_key (code text PRIMARY KEY, note text);
ALTER TABLE large.in_key ALTER code SET STORAGE EXTERNAL;
-- large values, some with quotes
INSERT INTO large.by_default VALUES
    (1, 'a', repeat('it''s ', 5000), repeat('''', 100000), decode(large.noise('b', 20000), 'hex'), 'x'),
    (2, 'b', large.noise('c', 50000), large.noise('d', 200000), NULL, NULL),
    (3, NULL, repeat(' new-tuple:', 3000), 'null', '\x', 'unchanged-toast-datum');
INSERT INTO large.entire SELECT * FROM large.by_default;
-- unchanged, with what is beside it, and changed
UPDATE large.by_default SET note = 'y' WHERE id = 1;
UPDATE large.by_default SET note = 'y', big = large.noise('e', 30000) WHERE id = 2;
UPDATE large.by_default SET big = NULL WHERE id = 3;
UPDATE large.by_default SET id = 10 WHERE id = 1;
UPDATE large.by_default SET big = big, packed = packed || '''' WHERE id = 2;
DELETE FROM large.by_default WHERE id = 2;
UPDATE large.entire SET note = 'y' WHERE id = 1;
UPDATE large.entire SET note = 'y', big = large.noise('e', 30000) WHERE id = 2;
UPDATE large.entire SET big = NULL WHERE id = 3;
UPDATE large.entire SET id = 10 WHERE id = 1;
DELETE FROM large.entire WHERE id = 2;
-- a text that has the same words as an unchanged value
UPDATE large.by_default SET small = 'unchanged-toast-datum' WHERE id = 10;
-- a key that is stored apart
INSERT INTO large.in_key VALUES (large.noise('k', 2500), 'x'), (repeat('it''s', 600), 'y'), ('short', NULL);
UPDATE large.in_key SET note = 'z';
UPDATE large.in_key SET code = code || 'x' WHERE note = 'z';
DELETE FROM large.in_key WHERE code <> 'shortx';
