//! Databases in other encodings than UTF-8, on servers of several majors, with all that can be written in them.
//!
//! What is expected is what the server itself converts, in pgoutput.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "a broken expectation ends the test, in helpers too")]

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use pg2k_test_end_to_end::pgoutput::ReadText;
use pg2k_test_end_to_end::records;
use pg2k_test_end_to_end::server::{Server, Version};
use pg2k_test_end_to_end::tool::{self, Line};
use pg2k_test_end_to_end::watched::{self, EVERYTHING, Watched};
use pg2k_test_end_to_end::workload::repertoire::{self, ENCODINGS};
use tokio::time::Instant;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_character_of_every_encoding() {
    for (number, version) in Version::asked_for().into_iter().enumerate() {
        let begun = Instant::now();
        let server = watched::start(version).await;
        // Servers hardly differ in this: the first is asked about all encodings, and another about a quarter of them.
        let (first, step) = if number == 0 { (0, 1) } else { (number % 4, 4) };
        let encodings = ENCODINGS.iter().skip(first).step_by(step);
        for encoding in encodings.clone() {
            let client = encoding.create(&server).await;
            let watched = Watched::begin(&server, client).await;
            encoding.fill(watched.client()).await;
            let capture = watched.capture().await;
            let ran = tool::format_lines(EVERYTHING, &capture).await;
            assert_eq!(ran.code, 0, "PostgreSQL {}, {}: {}", server.major(), encoding.name, ran.errors);
            let records = records::parse(&ran.output);
            watched.assert_keys(&records).await;
            watched.assert_told("all", records::history(&records), watched.told("UTF8", ReadText::UTF8).await);
            watched.end().await;
        }
        println!("PostgreSQL {}: {} encodings in {:?}", server.major(), encodings.count(), begun.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_are_no_text() {
    for version in Version::asked_for() {
        let server = watched::start(version).await;
        assert_bytes_that_are_no_text(&server).await;
    }
}

/// Reads a database of which the server does not know the encoding.
async fn assert_bytes_that_are_no_text(server: &Server) {
    repertoire::create_database(server, "in_sql_ascii", "SQL_ASCII").await;
    let client = server.client_of("in_sql_ascii").await;
    let watched = Watched::begin(server, client).await;
    repertoire::fill_with_bytes(watched.client()).await;
    let capture = tool::capture(server, "in_sql_ascii", &watched.slot()).await.succeeded_with_warnings();
    let texts: [(&str, ReadText); 2] = [
        // Names stay apart.
        ("replace", ReadText { name: in_base64, text: replaced }),
        ("base64", ReadText { name: in_base64, text: in_base64 }),
    ];
    for (choice, text) in texts {
        let arguments = [EVERYTHING, &["--invalid-text", choice]].concat();
        let output = tool::format_lines(&arguments, &capture).await.succeeded_with_warnings();
        let found = records::history(&records::parse(&output));
        watched.assert_told(choice, found, watched.told("SQL_ASCII", text).await);
    }
    // Unless it is said what to do, what is no text is refused, and all else is told.
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &capture).unwrap();
    let ran = tool::format(&[EVERYTHING, &["--keep-going"]].concat(), file.path()).await;
    assert_eq!(ran.code, 1, "{}", ran.errors);
    let lines = Line::parse_all(&capture);
    let invalid = (1..).zip(&lines).filter(|(_, line)| has_invalid_text(&line.payload));
    let expected: Vec<usize> = invalid.map(|(number, _)| number).collect();
    assert!(!expected.is_empty() && expected.len() < lines.len() / 2, "{} of {} lines", expected.len(), lines.len());
    assert_eq!(ran.refused_lines(file.path()), expected, "lines with bytes that are no text");
}

/// Tells whether there is something else than UTF-8 in it, apart from a message's content, which need not be text.
fn has_invalid_text(payload: &[u8]) -> bool {
    let content = payload.windows(9).position(|window| window == b" content:");
    let (text, _) = payload.split_at(content.unwrap_or(payload.len()));
    std::str::from_utf8(text).is_err()
}

fn replaced(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn in_base64(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap_or_else(|error| BASE64.encode(error.as_bytes()))
}
