//! Databases in other encodings than UTF-8, with all that can be written in them.
//!
//! What can be written is what the server itself can convert to UTF-8. It is put in as bytes, so that nothing is converted on
//! the way in.

use tokio_postgres::Client;

use crate::server::Server;

/// Holds an encoding, by PostgreSQL's name.
#[derive(Clone, Copy, Debug)]
pub struct Encoding {
    /// The name, such as `LATIN1`.
    pub name: &'static str,
    /// The lengths of its characters, apart from ASCII: the first byte, and how many follow.
    shapes: &'static [(u8, u8, usize)],
}

/// The encodings.
pub const ENCODINGS: &[Encoding] = &[
    single("LATIN1"),
    single("LATIN2"),
    single("LATIN3"),
    single("LATIN4"),
    single("LATIN5"),
    single("LATIN6"),
    single("LATIN7"),
    single("LATIN8"),
    single("LATIN9"),
    single("LATIN10"),
    single("ISO_8859_5"),
    single("ISO_8859_6"),
    single("ISO_8859_7"),
    single("ISO_8859_8"),
    single("WIN866"),
    single("WIN874"),
    single("WIN1250"),
    single("WIN1251"),
    single("WIN1252"),
    single("WIN1253"),
    single("WIN1254"),
    single("WIN1255"),
    single("WIN1256"),
    single("WIN1257"),
    single("WIN1258"),
    single("KOI8R"),
    single("KOI8U"),
    // 8e announces half-width katakana, 8f a supplementary character of two more bytes.
    Encoding { name: "EUC_JP", shapes: &[(0xa1, 0xfe, 1), (0x8e, 0x8e, 1), (0x8f, 0x8f, 2)] },
    Encoding { name: "EUC_KR", shapes: &[(0xa1, 0xfe, 1)] },
    Encoding { name: "EUC_CN", shapes: &[(0xa1, 0xfe, 1)] },
];

/// Gives an encoding of which a byte is a character.
const fn single(name: &'static str) -> Encoding {
    Encoding { name, shapes: &[(0x80, 0xff, 0)] }
}

/// Gives the bytes of all characters that can be converted, a row each 80 of them, in the order of the bytes.
const REPERTOIRE: &str = "
    CREATE FUNCTION converts(symbol bytea) RETURNS boolean LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM convert(symbol, getdatabaseencoding()::name, 'UTF8');
            RETURN true;
        EXCEPTION WHEN OTHERS THEN
            RETURN false;
        END
    $$;
    CREATE TABLE repertoire AS
        SELECT (row_number() OVER (ORDER BY symbol) - 1) / 80 AS line, symbol
        FROM (VALUES SHAPES) shape (first, last, more)
            CROSS JOIN generate_series(first, last) one
            CROSS JOIN generate_series(CASE more WHEN 2 THEN 161 ELSE 254 END, 254) two
            CROSS JOIN generate_series(CASE more WHEN 0 THEN 254 ELSE 161 END, 254) three
            CROSS JOIN LATERAL (SELECT CASE more
                WHEN 0 THEN set_byte('\\x00', 0, one)
                WHEN 1 THEN set_byte(set_byte('\\x0000', 0, one), 1, three)
                ELSE set_byte(set_byte(set_byte('\\x000000', 0, one), 1, two), 2, three)
            END) made (symbol)
        WHERE converts(symbol);
";

impl Encoding {
    /// Gives the name of its database.
    pub fn database(&self) -> String {
        format!("in_{}", self.name.to_lowercase())
    }

    /// Makes a database in it, with a table of what can be written.
    pub async fn create(&self, server: &Server) -> Client {
        create_database(server, &self.database(), self.name).await;
        let client = server.client_of(&self.database()).await;
        let shapes: Vec<_> =
            self.shapes.iter().map(|(first, last, more)| format!("({first}, {last}, {more})")).collect();
        let sql = REPERTOIRE.replace("SHAPES", &shapes.join(", "));
        client.batch_execute(&sql).await.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
        client
    }

    /// Fills tables with all characters, and gives names of tables and columns, keys and changed values some of them.
    pub async fn fill(&self, client: &Client) {
        client.batch_execute(FILL).await.unwrap_or_else(|error| panic!("{}: {error:?}", self.name));
    }
}

/// Makes a database that holds text in this encoding.
pub async fn create_database(server: &Server, database: &str, encoding: &str) {
    let sql =
        format!("CREATE DATABASE {database} TEMPLATE template0 ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C'");
    server.execute(&[&sql]).await;
}

const FILL: &str = "
    CREATE TABLE characters (id bigint PRIMARY KEY, written text, quoted text, several text[]);
    CREATE TABLE keys (id text PRIMARY KEY, note text);
    INSERT INTO characters
        SELECT line, written, '''' || written || '\"', ARRAY[written, NULL, 'it''s \\ ' || written]
        FROM (SELECT line, convert_from(string_agg(symbol, '' ORDER BY symbol), getdatabaseencoding()::name) AS written
            FROM repertoire GROUP BY line) lines;
    UPDATE characters SET quoted = quoted || 'x';
    DELETE FROM characters WHERE id = 0;
    INSERT INTO keys SELECT written, quoted FROM characters;
    UPDATE keys SET id = id || 'x';
    DO $$
        DECLARE
            part text;
        BEGIN
            FOR part IN SELECT convert_from(string_agg(symbol, '' ORDER BY symbol), getdatabaseencoding()::name)
                FROM (SELECT symbol, row_number() OVER (ORDER BY symbol) / 20 AS piece, row_number() OVER (ORDER BY symbol) AS n
                    FROM repertoire) pieces
                WHERE n < 400 GROUP BY piece
            LOOP
                EXECUTE format('CREATE TABLE %I (%I int PRIMARY KEY, %I text)', part, part, part || '''\"');
                EXECUTE format('INSERT INTO %I VALUES (1, %L)', part, part);
                EXECUTE format('UPDATE %I SET %I = 2', part, part);
                EXECUTE format('DELETE FROM %I', part);
                PERFORM pg_logical_emit_message(true, part, part);
            END LOOP;
        END
    $$;
";

/// Fills tables of a database in SQL_ASCII with bytes of all kinds, in values and in names, beside text in UTF-8.
pub async fn fill_with_bytes(client: &Client) {
    client.batch_execute(FILL_WITH_BYTES).await.unwrap_or_else(|error| panic!("SQL_ASCII: {error:?}"));
}

const FILL_WITH_BYTES: &str = "
    CREATE TABLE bytes (id int PRIMARY KEY, a text, b text, several text[]);
    CREATE TABLE keys (id text PRIMARY KEY, note text);
    INSERT INTO bytes SELECT n, convert_from(set_byte('\\x4100', 1, n), 'SQL_ASCII'), 'é 😀', NULL FROM generate_series(1, 255) n;
    INSERT INTO bytes SELECT n, 'plain', NULL, '{it''s}' FROM generate_series(1000, 1300) n;
    INSERT INTO keys SELECT convert_from(written, 'SQL_ASCII'), 'note' FROM unnest(ARRAY['\\xff', '\\xc3', '\\xe29883',
        '\\xf09f98', '\\x61c3a9e9', '\\xeda080', '\\xc080', '\\xf4908080', '\\x27ff27', '\\xa1a1']::bytea[]) written;
    UPDATE keys SET id = id || 'x';
    DELETE FROM keys;
    DO $$
        DECLARE
            name text;
        BEGIN
            FOR name IN SELECT convert_from(written, 'SQL_ASCII') FROM unnest(ARRAY['\\xe4f6fc', '\\x22ff', '\\x616263c3']::bytea[]) written
            LOOP
                EXECUTE format('CREATE TABLE %I (%I int PRIMARY KEY, %I text)', name, name, name || 'x');
                EXECUTE format('INSERT INTO %I VALUES (1, %L)', name, name);
                EXECUTE format('UPDATE %I SET %I = 2', name, name);
                EXECUTE format('DELETE FROM %I', name);
                PERFORM pg_logical_emit_message(true, name, name);
                PERFORM pg_logical_emit_message(true, 'plain', name);
            END LOOP;
        END
    $$;
";
