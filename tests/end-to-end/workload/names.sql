-- names of schemas
CREATE SCHEMA names;
CREATE SCHEMA "My Schema";
CREATE SCHEMA "it's ""odd"".x";
CREATE SCHEMA "select";
CREATE SCHEMA "схема ☃";
CREATE TABLE "My Schema"."My Table" ("My Id" int PRIMARY KEY, "a b" text);
CREATE TABLE "it's ""odd"".x"."a""b" ("a""b" int PRIMARY KEY, "it's" text);
CREATE TABLE "select"."table" ("select" int PRIMARY KEY, "user" text, "from" text, "null" text, "true" boolean);
CREATE TABLE "схема ☃"."таблица 😀" ("ключ" int PRIMARY KEY, "значение é" text);
INSERT INTO "My Schema"."My Table" VALUES (1, 'x'), (2, NULL);
INSERT INTO "it's ""odd"".x"."a""b" VALUES (1, 'x');
INSERT INTO "select"."table" VALUES (1, 'u', NULL, 'null', true);
INSERT INTO "схема ☃"."таблица 😀" VALUES (1, 'значение');
UPDATE "My Schema"."My Table" SET "My Id" = 3 WHERE "My Id" = 1;
UPDATE "select"."table" SET "select" = 2;
UPDATE "схема ☃"."таблица 😀" SET "ключ" = 2;
DELETE FROM "it's ""odd"".x"."a""b";
-- names of tables that look like the rest of a payload
CREATE TABLE names."x]:'" ("x]:'" int PRIMARY KEY, "]:'1'" text);
CREATE TABLE names.": TRUNCATE: (no-flags)" (id int PRIMARY KEY, ": INSERT:" text);
CREATE TABLE names.": INSERT: id[integer]:1" (id int PRIMARY KEY, " new-tuple:" text, " old-key:" text);
CREATE TABLE names."a, b.c" (id int PRIMARY KEY, "a[integer]:1 b" text);
CREATE TABLE names."two
lines" (id int PRIMARY KEY, "two
lines" text, "tab	" text, "BEGIN" text);
CREATE TABLE names."(no-tuple-data)" ("(no-tuple-data)" int PRIMARY KEY);
CREATE TABLE names."""" ("""" int PRIMARY KEY, """""" text, "[" text, "]" text, "[]" text, "''" text, ":" text, "\" text);
CREATE TABLE names."."  ("." int PRIMARY KEY, "a.b" text);
CREATE TABLE names._1$ (_1 int PRIMARY KEY, a$b text, "1a" text, "Ab" text, "old-key" text, old_key text);
INSERT INTO names."x]:'" VALUES (1, 'x]:'''), (2, NULL);
INSERT INTO names.": TRUNCATE: (no-flags)" VALUES (1, 'a'), (2, 'b');
INSERT INTO names.": INSERT: id[integer]:1" VALUES (1, ' new-tuple: id[integer]:1', '''');
INSERT INTO names."a, b.c" VALUES (1, 'a');
INSERT INTO names."two
lines" VALUES (1, E'two\nlines', E'\t', 'COMMIT 1');
INSERT INTO names."(no-tuple-data)" VALUES (1);
INSERT INTO names."""" VALUES (1, '"', '[', ']', '[]', '''''', ':', '\');
INSERT INTO names."." VALUES (1, '.');
INSERT INTO names._1$ VALUES (1, 'a', 'b', 'c', 'd', 'e');
UPDATE names."x]:'" SET "x]:'" = 3 WHERE "x]:'" = 1;
UPDATE names.": INSERT: id[integer]:1" SET id = 2;
UPDATE names."two
lines" SET id = 2;
UPDATE names."""" SET """" = 2, ":" = NULL;
UPDATE names._1$ SET _1 = 2;
DELETE FROM names."x]:'" WHERE "x]:'" = 3;
DELETE FROM names."a, b.c";
DELETE FROM names."." ;
-- names as long as they can be
CREATE TABLE names.a12345678901234567890123456789012345678901234567890123456789012 (
    b12345678901234567890123456789012345678901234567890123456789012 int PRIMARY KEY,
    "éééééééééééééééééééééééééééééé3" text
);
INSERT INTO names.a12345678901234567890123456789012345678901234567890123456789012 VALUES (1, 'x');
-- 11+: a table that only looks like one that is being rewritten
CREATE TABLE names.pg_temp_16384 (id int PRIMARY KEY);
INSERT INTO names.pg_temp_16384 VALUES (1);
UPDATE names.pg_temp_16384 SET id = 2;
-- 11+: truncated by its name
TRUNCATE names.": TRUNCATE: (no-flags)", names."x]:'", "My Schema"."My Table", names."""", names."two
lines";
TRUNCATE names."a, b.c" RESTART IDENTITY CASCADE;
INSERT INTO names."x]:'" VALUES (1, 'again');
