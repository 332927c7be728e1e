use super::*;

/// What becomes of a command line, with formatters beside the executable and no environment.
fn config(line: &str) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a directory");
    for formatter in ["csv", "csv_payload"] {
        std::fs::write(directory.path().join(format!("libpg2k_formatter_{formatter}.so")), "").expect("a file");
    }
    let words = std::iter::once("pg2k").chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    let executable = directory.path().join("pg2k");
    arguments.into_config(&executable, |_| None).map_err(|error| error.to_string())
}

fn refused(line: &str) -> String {
    config(line).map(|_| ()).expect_err(line)
}

#[test]
fn the_command_line_is_consistent() {
    use clap::CommandFactory;
    Arguments::command().debug_assert();
}

#[test]
fn command_lines_of_pg2kinesis() {
    let config_of = |line| config(line).unwrap_or_else(|error| panic!("{line}: {error}"));
    let defaults = config_of("-d shop -h db -u me");
    assert_eq!((defaults.slot.as_str(), defaults.stream.as_str()), ("pg2kinesis", "pg2kinesis"));
    assert_eq!((defaults.slot_action, defaults.operations), (SlotAction::UseExisting, Operations::ALL));
    assert!(defaults.formatter.ends_with("libpg2k_formatter_csv_payload.so"));
    let all = config_of(
        "--pg-dbname shop --pg-host db --pg-port 5433 --pg-user me --pg-sslmode disable --pg-slot-name s --pg-slot-output-plugin \
         test_decoding --stream-name k --message-formatter CSV --table-pat accounts --recreate-slot --operations update \
         --operations DELETE",
    );
    assert_eq!((all.postgres.port, all.postgres.dbname.as_str(), all.postgres.user.as_str()), (5433, "shop", "me"));
    assert_eq!((all.slot.as_str(), all.stream.as_str(), all.slot_action), ("s", "k", SlotAction::Recreate));
    assert_eq!(all.operations, Operations { update: true, delete: true, ..Operations::NONE });
    assert!(all.formatter.ends_with("libpg2k_formatter_csv.so"));
    assert!(all.table_pattern.is_some_and(|pattern| pattern.is_match("public.pgbench_accounts")));
    let short = config_of("-d shop -h db -p 5433 -u me -s s -k k -f CSVPayload --create-slot");
    assert_eq!((short.slot_action, short.postgres.port), (SlotAction::Create, 5433));
    // pg2kinesis takes both, and drops the slot.
    assert_eq!(config_of("-d shop -h db -u me --create-slot --recreate-slot").slot_action, SlotAction::Recreate);
}

#[test]
fn what_cannot_be_done_says_what_to_do_instead() {
    let line = "-d shop -h db -u me";
    for (more, part) in [
        ("--pg-slot-output-plugin wal2json", "make a slot for it"),
        ("--full-change", "leave it out"),
        ("--table-pat (", "unclosed group"),
        ("-s No", "slot name"),
        ("-f avro", "expected csv, csv-payload"),
        ("--pg-sslmode maybe", "sslmode"),
        ("--operations upsert", "upsert"),
        ("--transaction-buffer 0", "64MiB"),
        ("--create-stream 0", "0"),
    ] {
        let error = refused(&format!("{line} {more}"));
        assert!(error.contains(part), "{more}: {error}");
    }
}
