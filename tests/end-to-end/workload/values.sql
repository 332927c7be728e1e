-- modified types
CREATE TABLE custom.modified (
    id int PRIMARY KEY, v varchar(10), several varchar(10)[], c char(5), one char, n numeric(10, 2), ns numeric(10, 2)[],
    t timestamptz(3), t0 timestamp(0), tt time(2), ttz timetz(1), i interval day to second(2), y interval year to month,
    b bit(5), bs bit(5)[], vb varbit(7), f float4, f24 float(24), d float8
);
INSERT INTO custom.modified VALUES (1, 'ten chars!', '{a,NULL,"b,c"}', 'ab', 'x', 12345678.90, '{1,NULL,-0.01}',
    '2026-01-02 03:04:05.6789+02', '2026-01-02 03:04:05.6', '23:59:59.999', '04:05:06.78-08', '3 04:05:06.789', '1 year 2 mons',
    B'10101', '{10101,NULL}', B'101', 1.5, 0.1, 1e-300);
INSERT INTO custom.modified (id) VALUES (2);
UPDATE custom.modified SET v = '', c = '', vb = B'', n = -0.00 WHERE id = 2;
UPDATE custom.modified SET f = '-0', d = '-0', f24 = 'NaN' WHERE id = 2;
DELETE FROM custom.modified WHERE id = 1;
-- types of our own
CREATE TABLE custom.own (
    mood custom.mood, moods custom.mood[], odd custom."Mood ]:'1'", odds custom."Mood ]:'1'"[],
    "x[]" "a.b: TRUNCATE: (no-flags)"."x[]", "x[][]" "a.b: TRUNCATE: (no-flags)"."x[]"[],
    amount custom.amount, truth custom.truth, mask custom.mask, note custom.note,
    price custom."pri[ce", scores custom.scores, pair custom.pair, pairs custom.pair[], nested custom.nested,
    span custom.span, spans custom.span[], id int PRIMARY KEY
);
INSERT INTO custom.own VALUES (
    'glad', '{"so so",it''s,NULL,"a\"b","x]:''y''",""}', '[]', '{[],NULL,"null"}', '1', '{unchanged-toast-datum,NULL,1}',
    -7, true, B'1010', ' new-tuple:', 1.1, '{{1,2},{3,NULL}}', '(1,"it''s ""x"", \\ (y)")',
    '{"(1,a)",NULL,"(,)"}', '("(1,""b c"")","{1,NULL}","so so")', '[1.5,)', '{"[1,2)",NULL,empty}', 1);
INSERT INTO custom.own (id, truth, mask, note, mood, odd) VALUES (2, false, B'0000', '', '', 'null');
INSERT INTO custom.own (id) VALUES (3);
UPDATE custom.own SET mood = 'naïve ☃', pair = NULL, span = 'empty' WHERE id = 1;
-- types that have the names of PostgreSQL's own
CREATE TABLE custom.namesakes (id int PRIMARY KEY, i custom."integer", b custom."boolean", bits custom."bit", n custom."numeric",
    d custom."double precision", "several" custom."double precision"[]);
INSERT INTO custom.namesakes VALUES (1, 7, true, B'101', 1.50, '1.5', '{1.5,NULL,NaN}'), (2, NULL, false, B'000', 'NaN', 'it''s', '{}');
UPDATE custom.namesakes SET i = -1, b = NULL;
-- 11+: domains over composites, and arrays of domains
CREATE TABLE custom.domains (id int PRIMARY KEY, checked custom.checked_pair, pairs custom.pairs, amounts custom.amount[]);
INSERT INTO custom.domains VALUES (1, '(1,"a b")', '{"(1,a)","(2,\"b c\")"}', '{1,NULL}'), (2, NULL, NULL, NULL), (3, '(,)', '{}', '{}');
-- arrays of every shape
CREATE TABLE custom.arrays (id int PRIMARY KEY, n int[], t text[], b boolean[], x bytea[], m timestamptz[], j json[]);
INSERT INTO custom.arrays VALUES
    (1, '{}', '{}', '{}', '{}', '{}', '{}'),
    (2, '[0:1]={1,2}', '{{a,b},{c,NULL}}', '{t,NULL,f}', '{"\\x00ff","\\x"}', '{infinity,NULL}', '{"{\"a\": \"b\\\"c''\"}",NULL}'),
    (3, '{{{1},{2}},{{3},{NULL}}}', '{"NULL",NULL,"null","","\"","\\","a,b","{","}"," "}', '{NULL}', '{NULL}', '{NULL}', '{NULL}'),
    (4, '[-3:-2][5:6]={{1,2},{3,4}}', '{"it''s","''''"}', NULL, NULL, NULL, NULL);
-- 14+: multiranges, of which one has the name that the server made up
CREATE TABLE custom.multiranges (id int PRIMARY KEY, i int4multirange, n nummultirange, t tstzmultirange, several int4multirange[], own custom.span_multirange);
-- 14+: multiranges in use
INSERT INTO custom.multiranges VALUES (1, '{[1,3),[5,)}', '{}', '{(,"2026-01-02 03:04:05+00"]}', '{"{[1,2)}",NULL}', '{[1.5,2.5)}'), (2, NULL, NULL, '{}', '{}', '{}');
