//! Errors as one line.

use std::error::Error;

/// The error and its causes, in one line: `cannot connect to 127.0.0.1: connection refused`.
///
/// A cause that the text before it already quotes is left out.
pub(crate) fn with_causes(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    // Messages of others may have lines.
    line.split(['\r', '\n']).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Layer {
        text: &'static str,
        source: Option<Box<Layer>>,
    }

    #[test]
    fn one_line_without_repetition() {
        let cause = Layer { text: "refused\n by the peer", source: None };
        let quoted = Layer { text: "cannot connect", source: Some(Box::new(cause)) };
        let error = Layer { text: "start: cannot connect", source: Some(Box::new(quoted)) };
        assert_eq!(with_causes(&error), "start: cannot connect: refused by the peer");
    }
}
