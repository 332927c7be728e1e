//! What the user said.

/// What `--help` prints.
pub(crate) const HELP: &str = "\
Compares pg2k with pg_recvlogical over the same backlog, and measures the latency of a quiet system.

  --transactions N  pgbench transactions in the backlog [120000]
  --scale N         pgbench's scale [5]
  --clients N       pgbench's clients [4]
  --rounds N        readings of the backlog by each program, by turns; 0 for none [5]
  --formatter NAME  pg2k's formatter [csv]
  --tcp             connect to the server over TCP instead of its socket
  --commits N       commits whose latency is measured; 0 for none [200]";

/// Holds how much is measured.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) transactions: u32,
    pub(crate) scale: u32,
    pub(crate) clients: u32,
    pub(crate) rounds: u32,
    pub(crate) formatter: String,
    pub(crate) tcp: bool,
    pub(crate) commits: u32,
}

impl Options {
    /// Reads the arguments; gives nothing if they ask for help.
    pub(crate) fn from_arguments(mut arguments: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            transactions: 120_000,
            scale: 5,
            clients: 4,
            rounds: 5,
            formatter: "csv".to_owned(),
            tcp: false,
            commits: 200,
        };
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().unwrap_or_else(|| panic!("{argument}: expected a value"));
            match argument.as_str() {
                "--transactions" => options.transactions = number(&value()),
                "--scale" => options.scale = number(&value()),
                "--clients" => options.clients = number(&value()),
                "--rounds" => options.rounds = number(&value()),
                "--commits" => options.commits = number(&value()),
                "--formatter" => options.formatter = value(),
                "--tcp" => options.tcp = true,
                "--help" => return None,
                _ => panic!("unknown option {argument}; --help lists them"),
            }
        }
        Some(options)
    }
}

fn number(text: &str) -> u32 {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}
