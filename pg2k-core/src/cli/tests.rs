use super::*;
use crate::selection::Operations;

/// What becomes of a command line, with formatters beside the executable and no environment.
fn config(line: &str) -> Result<Config, String> {
    let directory = tempfile::tempdir().expect("a directory");
    for formatter in ["csv", "csv_payload", "json"] {
        std::fs::write(directory.path().join(format!("libpg2k_formatter_{formatter}.so")), "").expect("a file");
    }
    let words = std::iter::once("pg2k").chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    let executable = directory.path().join("pg2k");
    let Task::Publish(arguments) = arguments.into_task() else { panic!("{line}: another task") };
    arguments.into_config(&executable, |_| None).map_err(|error| error.to_string())
}

fn format_task(line: &str) -> Result<FormatTask, String> {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("libpg2k_formatter_json.so"), "").expect("a file");
    let words = ["pg2k", "format"].into_iter().chain(line.split_whitespace());
    let arguments = Arguments::try_parse_from(words).map_err(|error| error.to_string())?;
    let Task::Format(arguments) = arguments.into_task() else { panic!("{line}: another task") };
    arguments.into_task(&directory.path().join("pg2k"), |_| None).map_err(|error| error.to_string())
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
    assert_eq!((defaults.slot_action, defaults.selection.operations), (SlotAction::UseExisting, Operations::ALL));
    assert!(defaults.formatter.path.ends_with("libpg2k_formatter_csv_payload.so"));
    let all = config_of(
        "--pg-dbname shop --pg-host db --pg-port 5433 --pg-user me --pg-sslmode disable --pg-slot-name s --pg-slot-output-plugin \
         test_decoding --stream-name k --message-formatter CSV --table-pat accounts --recreate-slot --operations update \
         --operations DELETE",
    );
    assert_eq!((all.postgres.port, all.postgres.dbname.as_str(), all.postgres.user.as_str()), (5433, "shop", "me"));
    assert_eq!((all.slot.as_str(), all.stream.as_str(), all.slot_action), ("s", "k", SlotAction::Recreate));
    assert_eq!(all.selection.operations, Operations { update: true, delete: true, ..Operations::NONE });
    assert!(all.formatter.path.ends_with("libpg2k_formatter_csv.so"));
    assert!(all.selection.tables.is_some_and(|pattern| pattern.is_match("public.pgbench_accounts")));
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
        ("--formatter-opt values", "expected NAME=VALUE"),
        ("--formatter-opt =x", "expected NAME=VALUE"),
        ("--messages=(", "--messages (: not a regular expression: unclosed group"),
        ("--unkeyed maybe", "[possible values: skip, publish, fail]"),
        ("--invalid-text maybe", "fail, replace or base64"),
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

#[test]
fn what_records_are_made_of() {
    let config_of =
        |more: &str| config(&format!("-d shop -h db -u me {more}")).unwrap_or_else(|error| panic!("{more}: {error}"));
    let options = |more| {
        let pairs = config_of(more).formatter.options;
        pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(options(""), [""; 0]);
    assert_eq!(options("-f json --formatter-opt values=text --formatter-opt a=b=c"), ["values=text", "a=b=c"]);
    assert_eq!(options("--full-change"), ["full-change=true"]);
    let messages = |more, prefix| {
        let message = pg2k_abi::Message { transactional: true, prefix, content: b"" };
        config_of(more).selection.contains_message(&message)
    };
    assert!(!messages("", "audit"));
    assert!(messages("--messages", "audit") && messages("--messages", ""));
    assert!(messages("--messages=^aud", "audit") && !messages("--messages=^dit", "audit"));
    assert_eq!(config_of("").selection.unkeyed, Unkeyed::Skip);
    assert_eq!(config_of("--unkeyed fail").selection.unkeyed, Unkeyed::Fail);
}

#[test]
fn what_is_formatted_without_a_server() {
    let task = format_task("-f json").expect("all by default");
    assert_eq!((task.files, task.selection.unkeyed, task.keep_going), (vec!["-".into()], Unkeyed::Publish, false));
    assert_eq!((task.encoding, task.server_major), (None, None));
    let task =
        format_task("-f json --messages a b --encoding LATIN1 --server-version 9.6.24 --keep-going --unkeyed skip");
    let task = task.expect("a task");
    assert_eq!(task.files, [std::path::PathBuf::from("a"), "b".into()]);
    assert_eq!((task.encoding.map(|e| e.to_string()), task.server_major), (Some("LATIN1".to_owned()), Some(9)));
    assert_eq!((task.selection.unkeyed, task.keep_going), (Unkeyed::Skip, true));
    for (version, major) in [("18", 18), ("10.23", 10), ("15.18 (Debian 15.18-1)", 15), ("180004", 18), ("90624", 9)] {
        assert_eq!(super::major(version), Ok(major), "{version}");
    }
    for refused in ["", "x", "1x", "18beta1x", "5000", "-1"] {
        assert!(super::major(refused).is_err(), "{refused}");
    }
    for (line, part) in [
        ("-f json --encoding EBCDIC", "EBCDIC"),
        ("-f json --server-version new", "such as 17"),
        ("-d shop", "unexpected argument"),
    ] {
        let error = format_task(line).map(|_| ()).expect_err(line);
        assert!(error.contains(part), "{line}: {error}");
    }
}

#[test]
fn options_of_one_task_are_not_those_of_another() {
    for line in ["pg2k -d shop format", "pg2k -k s capture", "pg2k capture --formatter csv"] {
        assert!(Arguments::try_parse_from(line.split_whitespace()).is_err(), "{line}");
    }
    let words = "pg2k capture -d shop -h db -u me -s s -o f --limit 5".split_whitespace();
    let Task::Capture(arguments) = Arguments::try_parse_from(words).expect("a capture").into_task() else {
        panic!("another task")
    };
    let task = arguments.into_task(|_| None).expect("a capture");
    assert_eq!((task.slot.as_str(), task.limit, task.output), ("s", Some(5), Some("f".into())));
}
