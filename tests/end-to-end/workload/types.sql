-- types of our own, with names that need quotes
CREATE SCHEMA custom;
CREATE SCHEMA "a.b: TRUNCATE: (no-flags)";
CREATE TYPE custom.mood AS ENUM ('glad', 'so so', 'it''s', 'a"b', 'x]:''y''', '', 'naïve ☃');
CREATE TYPE custom."Mood ]:'1'" AS ENUM ('[]', 'null');
CREATE TYPE "a.b: TRUNCATE: (no-flags)"."x[]" AS ENUM ('1', 'unchanged-toast-datum');
CREATE DOMAIN custom.amount AS int;
CREATE DOMAIN custom.truth AS boolean;
CREATE DOMAIN custom.mask AS bit(4);
CREATE DOMAIN custom.note AS text;
CREATE DOMAIN custom."pri[ce" AS numeric(10, 2);
CREATE DOMAIN custom.scores AS int[];
CREATE TYPE custom.pair AS (a int, "B ""c]:" text);
CREATE TYPE custom.nested AS (p custom.pair, several int[], mood custom.mood);
CREATE TYPE custom.span AS RANGE (subtype = float8);
-- types that have the names of PostgreSQL's own, and print otherwise
CREATE DOMAIN custom."integer" AS int;
CREATE DOMAIN custom."boolean" AS boolean;
CREATE DOMAIN custom."bit" AS bit(3);
CREATE DOMAIN custom."numeric" AS numeric;
CREATE TYPE custom."double precision" AS ENUM ('1.5', 'NaN', 'it''s');
-- 11+: domains over what they could not be over before
CREATE DOMAIN custom.checked_pair AS custom.pair;
CREATE DOMAIN custom.pairs AS custom.pair[];
