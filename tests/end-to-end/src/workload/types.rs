//! A table for every type that the server has, with every value of it that we know.

use tokio_postgres::Client;

use super::quoted;

/// Literals. Each is tried with every type: what one takes for a number another takes for a text.
const LITERALS: &[&str] = &[
    // Numbers and their extremes.
    "0",
    "1",
    "-1",
    "42",
    "-0",
    "0.1",
    "1.10",
    "-12.50",
    "32767",
    "-32768",
    "2147483647",
    "-2147483648",
    "4294967295",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1e-7",
    "1e10",
    "1.5e300",
    "-4.9e-324",
    "1.7976931348623157e308",
    "3.4028235e38",
    "1e-45",
    "0.30000000000000004",
    "NaN",
    "Infinity",
    "-Infinity",
    "123456789012345678901234567890.123456789012345678901234567890",
    "0.00000000000000000000000000000000000000001",
    // Truth, bits and bytes.
    "true",
    "false",
    "10101",
    "0000000000000001",
    "\\x",
    "\\x00ff27225c5d3a",
    "\\x0a0d",
    // Money.
    "$1,234.56",
    "-$0.01",
    "92233720368547758.07",
    // Moments and spans.
    "2026-01-02",
    "0044-03-15 BC",
    "4713-01-01 BC",
    "infinity",
    "-infinity",
    "5874897-12-31",
    "294276-12-31 23:59:59.999999",
    "2026-01-02 03:04:05.678901",
    "2026-01-02 03:04:05+02",
    "2026-01-02 24:00:00",
    "epoch",
    "0001-01-01 00:00:00 BC",
    "00:00:00",
    "24:00:00",
    "23:59:59.999999",
    "04:05:06.789-08:30",
    "15:59:59+15:59:59",
    "1 year 2 months 3 days 04:05:06.7",
    "-1 year +2 days -00:00:00.000001",
    "178000000 years",
    "-178000000 years",
    "P1Y2M3DT4H5M6S",
    "3 mons ago",
    // Texts.
    "",
    " ",
    "a",
    "it's",
    "a\\b",
    "two\nlines",
    "]:'",
    "null",
    "é😀",
    "x\u{1}y",
    "pg_class",
    "int4",
    "postgres",
    "simple",
    "now()",
    "pg_catalog.int4",
    "+(integer,integer)",
    "pg_catalog.+(integer,integer)",
    "abs(integer)",
    "array_in",
    "+",
    "english",
    "C",
    // JSON, XML, and text to be searched.
    "{}",
    "[]",
    "{\"a\": [1, \"it's\", null, {\"b\": \"\\\"]:'\"}], \"a\": 2}",
    "\"x\"",
    "1.00",
    "$.a[*] ? (@.b == \"it's\")",
    "<a b='1'>it's</a>",
    "<x/>",
    "fat cats ate 'it''s' a:1A,2B",
    "'a' & ('b' | !'it''s':*)",
    "a:1 b:2",
    // Networks.
    "192.168.0.1",
    "192.168.0.0/24",
    "10.0.0.0/8",
    "::1",
    "2001:db8::/32",
    "::ffff:1.2.3.4/128",
    "08:00:2b:01:02:03",
    "08:00:2b:01:02:03:04:05",
    // Shapes.
    "(1,2)",
    "(1.5,-2e10)",
    "(NaN,Infinity)",
    "((1,2),(3,4))",
    "[(1,2),(3,4)]",
    "((0,0),(1,0),(1,1))",
    "[(0,0),(1,0),(1,1)]",
    "<(1,2),3>",
    "{1,2,3}",
    "{1,-1,0}",
    // Identifiers of all kinds.
    "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
    "00000000-0000-0000-0000-000000000000",
    "0/0",
    "16/B374D848",
    "FFFFFFFF/FFFFFFFF",
    "(0,1)",
    "(4294967295,65535)",
    "10:20:10,14,15",
    "10:10:",
    "postgres=arwdDxt/postgres",
    "=r/postgres",
    "1 2 3",
    "4 5",
    // Ranges, and several of them.
    "empty",
    "[1,10)",
    "(,)",
    "[,5]",
    "[1.5,2.5]",
    "[2026-01-01,2026-02-01)",
    "[\"2026-01-01 00:00:00\",)",
    "(-infinity,\"2026-01-01 00:00:00+00\"]",
    "{[1,3),[5,7)}",
    "{(,)}",
    "{[2026-01-01,2026-02-01)}",
    "{[1.5,2.5]}",
    "{\"[2026-01-01 00:00:00,)\"}",
    // Types that are gone since 12.
    "[\"2026-01-01 00:00:00+00\" \"2026-01-02 00:00:00+00\"]",
    "magnetic disk",
    "@ 14 seconds ago",
];

/// Which of the literals are values of which types, found before anybody watches: a trial that fails leaves traces.
const ACCEPTED: &str = "
    CREATE SCHEMA prepared;
    CREATE FUNCTION prepared.accepts(type text, literal text) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            EXECUTE 'SELECT ' || quote_literal(literal) || '::' || type;
            RETURN true;
        EXCEPTION WHEN OTHERS THEN
            RETURN false;
        END
    $$;
    CREATE TABLE prepared.accepted AS
        SELECT typname::text AS type, format_type(t.oid, NULL) AS printed, typarray <> 0 AND (typelem = 0 OR typlen > 0) AS has_array, literal
        FROM pg_type t LEFT JOIN unnest($1::text[]) literal ON prepared.accepts(quote_ident(typname), literal)
            -- Until 14 it is printed as the first byte, which is no UTF-8.
            AND NOT (typname = 'char' AND octet_length(literal) > length(literal))
        WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm', 'd', 'e')
            AND typelem = 0 AND typisdefined OR typname IN ('name', 'point', 'box', 'lseg', 'line', 'int2vector', 'oidvector')
";

/// Finds out which values there are.
pub(super) async fn prepare(client: &Client) {
    let array: Vec<_> = LITERALS.iter().map(|literal| quoted(literal)).collect();
    let sql = ACCEPTED.replace("$1", &format!("ARRAY[{}]", array.join(", ")));
    client.batch_execute(&sql).await.expect("the types and their values");
}

/// Makes a table `types.NAME` of every type, and fills it with its values, with arrays of them, and with NULL.
pub(super) async fn fill(client: &Client) {
    client.batch_execute("CREATE SCHEMA types").await.expect("a schema");
    let sql = "SELECT type, has_array, count(literal) FROM prepared.accepted GROUP BY 1, 2 ORDER BY 1";
    let types = client.query(sql, &[]).await.expect("the types");
    assert!(types.len() > 60, "expected all types, found {}", types.len());
    for row in types {
        let (name, has_array, values): (String, bool, i64) = (row.get(0), row.get(1), row.get(2));
        assert!(values > 0 || WITHOUT_VALUES.contains(&&*name), "{name}: expected a literal that it takes, found none");
        let array = |of: &str| if has_array { format!(", {of}") } else { String::new() };
        let sql = format!(
            "CREATE TABLE types.\"{name}\" (id serial PRIMARY KEY, v \"{name}\"{column});
             ALTER TABLE types.\"{name}\" REPLICA IDENTITY FULL;
             INSERT INTO types.\"{name}\" DEFAULT VALUES;",
            column = array(&format!("several \"{name}\"[]")),
        );
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        if values == 0 {
            continue;
        }
        // The literals have to be written out: a text is not cast to every type.
        let literals = "SELECT literal FROM prepared.accepted WHERE type = $1 ORDER BY literal";
        let mut sql = String::new();
        for row in client.query(literals, &[&name]).await.expect("the values") {
            let literal = quoted(row.get(0));
            let value = format!("{literal}::\"{name}\"");
            let several = array(&format!("ARRAY[{value}, NULL, {value}]"));
            let nested = array(&format!("ARRAY[[{value}], [NULL::\"{name}\"]]"));
            sql += &format!(
                "INSERT INTO types.\"{name}\" VALUES (DEFAULT, {value}{several}), (DEFAULT, {value}{nested});"
            );
        }
        sql += &format!(
            "UPDATE types.\"{name}\" SET v = NULL WHERE id % 3 = 0; DELETE FROM types.\"{name}\" WHERE id % 5 = 0;"
        );
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{name}: {error:?}"));
    }
}

/// Types whose values only the server itself makes.
const WITHOUT_VALUES: &[&str] = &[
    "gtsvector",
    "pg_brin_bloom_summary",
    "pg_brin_minmax_multi_summary",
    "pg_dependencies",
    "pg_mcv_list",
    "pg_ndistinct",
    "pg_node_tree",
];
