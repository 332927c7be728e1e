//! What is done to a database so that every kind of payload comes of it.
//!
//! Most of it is in the files of `tests/end-to-end/workload`, in sections that begin with a line `-- title`, or `-- 11+: title`
//! or `-- 10-11: title` if they are for those majors only. A section is one transaction unless it says otherwise. The rest is
//! made here: `types` fills a table for every type that the server has, `seeded` does random things, and `messages` and `texts`
//! are what both are made of. `repertoire` is for databases in other encodings.

pub mod messages;
pub mod repertoire;
pub mod seeded;
pub mod texts;
pub mod types;

use tokio_postgres::Client;

use self::messages::Emitted;
use crate::random::Random;

/// Types of our own. They have to be in every database that is to have the same rows.
const TYPES: &str = include_str!("../../workload/types.sql");
const VALUES: &str = include_str!("../../workload/values.sql");
const NAMES: &str = include_str!("../../workload/names.sql");
const IDENTITIES: &str = include_str!("../../workload/identities.sql");
const LARGE: &str = include_str!("../../workload/large.sql");
const TABLES: &str = include_str!("../../workload/tables.sql");
const SCHEMA_CHANGES: &str = include_str!("../../workload/schema_changes.sql");

/// Makes the types that the tables need, and what looks for values of every type. Before anybody watches.
pub async fn prepare(client: &Client, major: u32) {
    execute(client, major, TYPES).await;
    types::prepare(client).await;
}

/// Makes the types that the tables need.
pub async fn create_types(client: &Client, major: u32) {
    execute(client, major, TYPES).await;
}

/// Does all of it, and gives the messages among it.
pub async fn run(client: &Client, major: u32, random: &mut Random) -> Vec<Emitted> {
    types::fill(client).await;
    texts::fill(client).await;
    for script in [VALUES, NAMES, IDENTITIES, LARGE, TABLES, SCHEMA_CHANGES] {
        execute(client, major, script).await;
    }
    let mut emitted = messages::emit(client).await;
    emitted.extend(seeded::run(client, major, random).await);
    // What a transaction leaves that is rolled back becomes visible with the next commit.
    client.batch_execute("INSERT INTO messages.between VALUES (0)").await.expect("the last commit");
    emitted
}

/// Executes the sections of a script that are for this major.
async fn execute(client: &Client, major: u32, script: &str) {
    for section in script.split("\n-- ").map(|section| section.strip_prefix("-- ").unwrap_or(section)) {
        let (title, body) = section.split_once('\n').unwrap_or_else(|| panic!("`{section}`: expected a title"));
        if is_for(title, major) {
            let result = client.batch_execute(body).await;
            result.unwrap_or_else(|error| panic!("PostgreSQL {major}: {title}: {error:?}"));
        }
    }
}

/// Tells whether a section of this title is for the major.
fn is_for(title: &str, major: u32) -> bool {
    let Some((range, _)) = title.split_once(": ") else { return true };
    let number = |text: &str| text.parse::<u32>().ok();
    match (range.strip_suffix('+').and_then(number), range.split_once('-')) {
        (Some(first), _) => major >= first,
        (None, Some((first, last))) => match (number(first), number(last)) {
            (Some(first), Some(last)) => (first..=last).contains(&major),
            _ => panic!("`{title}`: expected majors before the colon"),
        },
        _ => panic!("`{title}`: expected majors before the colon"),
    }
}

/// Gives a literal of SQL.
pub(crate) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Gives an identifier of SQL.
pub(crate) fn quoted_name(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn sections_are_for_majors() {
        assert!(is_for("all of them", 10));
        assert_eq!([10, 11, 18].map(|major| is_for("11+: since", major)), [false, true, true]);
        assert_eq!([10, 11, 18].map(|major| is_for("10-11: until", major)), [true, true, false]);
    }
}
