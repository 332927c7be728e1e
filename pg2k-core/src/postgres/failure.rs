//! What went wrong, as the server says it, and whether trying again may mend it.
//!
//! Every error of this module's neighbours answers `class()` by asking here: no other code looks at an SQLSTATE to
//! decide between trying again and giving up.

use std::error::Error as _;
use std::{fmt, io};

use postgres_protocol::message::backend::ErrorFields;
use tokio_postgres::fallible_iterator::FallibleIterator as _;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Connecting again, after a pause, may mend it.
    Transient,
    /// It will not mend by itself: an operator must act.
    Fatal,
}

/// An error or notice that the server sent.
///
/// Follows <https://www.postgresql.org/docs/current/protocol-error-fields.html>.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerError {
    /// `ERROR`, `FATAL`, `PANIC`, or a notice's level; never translated.
    pub(crate) severity: String,
    /// The SQLSTATE, five characters.
    pub(crate) code: String,
    /// The primary message, in the server's language.
    pub(crate) message: String,
    /// More about it, where the server has more.
    pub(crate) detail: Option<String>,
    /// What the server suggests.
    pub(crate) hint: Option<String>,
}

impl ServerError {
    /// Reads an ErrorResponse or a NoticeResponse. Fields it does not know are left out, as the protocol asks.
    ///
    /// # Errors
    ///
    /// Fails where the fields are cut short.
    pub(crate) fn from_fields(mut fields: ErrorFields<'_>) -> io::Result<Self> {
        let mut error = Self::default();
        while let Some(field) = fields.next()? {
            // Before the encoding is agreed on (at log-in) the server may send its own.
            let text = String::from_utf8_lossy(field.value_bytes()).into_owned();
            match field.type_() {
                b'V' => error.severity = text,
                b'S' if error.severity.is_empty() => error.severity = text,
                b'C' => error.code = text,
                b'M' => error.message = text,
                b'D' => error.detail = Some(text),
                b'H' => error.hint = Some(text),
                _ => {}
            }
        }
        Ok(error)
    }

    /// Says whether trying again may mend it.
    pub(crate) fn class(&self) -> Class {
        class_of_sqlstate(&self.code)
    }
}

impl From<&tokio_postgres::error::DbError> for ServerError {
    fn from(error: &tokio_postgres::error::DbError) -> Self {
        Self {
            severity: error.severity().to_owned(),
            code: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
        }
    }
}

impl fmt::Display for ServerError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}: {}", self.severity, self.code, self.message)?;
        if let Some(detail) = &self.detail {
            write!(formatter, "; detail: {detail}")?;
        }
        if let Some(hint) = &self.hint {
            write!(formatter, "; hint: {hint}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServerError {}

/// Classifies an SQLSTATE (<https://www.postgresql.org/docs/current/errcodes-appendix.html>).
///
/// Fatal unless it is known to pass: to hammer a server with what it will always refuse helps nobody.
fn class_of_sqlstate(code: &str) -> Class {
    match code {
        // Database dropped; configuration limit exceeded (no free replication slot).
        "57P04" | "53400" => Class::Fatal,
        // Slot active for another process, which may be our own dead predecessor; lock not available; an idle
        // transaction or session that timed out; an I/O error of the server's disk.
        "55006" | "55P03" | "25P03" | "25P04" | "58030" => Class::Transient,
        // Connection exceptions; transaction rollback (deadlock, serialization); insufficient resources (too many
        // connections, out of memory, disk full); operator intervention (starting up, shutting down, cancelled).
        _ => match code.get(..2) {
            Some("08" | "40" | "53" | "57") => Class::Transient,
            _ => Class::Fatal,
        },
    }
}

/// An SQL statement of ours that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    /// The server refused it.
    #[error("{doing}")]
    Server {
        /// What the statement was for.
        doing: &'static str,
        /// What the server said.
        source: Box<ServerError>,
    },
    /// The connection broke, or the answer was not what was asked for.
    #[error("{doing}")]
    Client {
        /// What the statement was for.
        doing: &'static str,
        /// What the client says.
        source: tokio_postgres::Error,
    },
    /// The answer held a value that cannot be.
    #[error("{doing}: {column} is {found:?}")]
    Value {
        /// What the statement was for.
        doing: &'static str,
        /// The column of the answer.
        column: &'static str,
        /// What it held.
        found: String,
    },
}

impl QueryError {
    /// Makes a function for `map_err`, which remembers what the statement was for.
    pub(crate) fn doing(doing: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |source| match source.as_db_error() {
            Some(error) => Self::Server { doing, source: Box::new(error.into()) },
            None => Self::Client { doing, source },
        }
    }

    /// The SQLSTATE, where the server gave one.
    pub(crate) fn code(&self) -> Option<&str> {
        match self {
            Self::Server { source, .. } => Some(&source.code),
            Self::Client { .. } | Self::Value { .. } => None,
        }
    }

    /// Says whether trying again may mend it.
    pub(crate) fn class(&self) -> Class {
        match self {
            Self::Server { source, .. } => source.class(),
            Self::Client { source, .. } => class_of_client_error(source),
            Self::Value { .. } => Class::Fatal,
        }
    }
}

/// Classifies what tokio-postgres reports: a lost connection passes, a misunderstanding does not.
pub(crate) fn class_of_client_error(error: &tokio_postgres::Error) -> Class {
    if let Some(error) = error.as_db_error() {
        return ServerError::from(error).class();
    }
    let io = error.source().is_some_and(|cause| cause.is::<io::Error>());
    if error.is_closed() || io { Class::Transient } else { Class::Fatal }
}

#[cfg(test)]
mod tests {
    use super::{Class, ServerError, class_of_sqlstate};

    #[test]
    fn what_passes_and_what_does_not() {
        for code in ["08006", "57P01", "57P02", "57P03", "55006", "53300", "53200", "40001", "57014"] {
            assert_eq!(class_of_sqlstate(code), Class::Transient, "{code}");
        }
        for code in ["28P01", "28000", "3D000", "42501", "42704", "55000", "53400", "57P04", "XX000", "", "é"] {
            assert_eq!(class_of_sqlstate(code), Class::Fatal, "{code}");
        }
    }

    #[test]
    fn says_everything_in_one_line() {
        let error = ServerError {
            severity: "ERROR".to_owned(),
            code: "53400".to_owned(),
            message: "all replication slots are in use".to_owned(),
            detail: None,
            hint: Some("Free one or increase max_replication_slots.".to_owned()),
        };
        assert_eq!(
            error.to_string(),
            "ERROR 53400: all replication slots are in use; hint: Free one or increase max_replication_slots."
        );
    }
}
