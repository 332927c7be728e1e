//! What becomes of a failed PutRecord: the one place that classifies it, and how long to wait. No clock, no randomness.

use std::time::Duration;

use crate::backoff::backoff;

/// Why a PutRecord has no acknowledgement. Whether it was applied is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// The service's name for the error, such as `ProvisionedThroughputExceededException`; `None` where no answer came that
    /// could be understood.
    pub(crate) code: Option<String>,
    /// What it says of it, in one line.
    pub(crate) message: String,
}

/// In place of a name of the service's: there were no credentials to ask it with.
pub(crate) const NO_CREDENTIALS: &str = "NoCredentials";

/// What to do about a failure. The record is never given up: in each case the same bytes are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Send again after a pause: it passes by itself.
    Again,
    /// Send again, once without the ordering number, which the service refused.
    WithoutOrdering,
    /// Send again after long pauses: somebody has to mend something.
    Hold,
}

impl Failure {
    /// What to do about it.
    ///
    /// The names are those of <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html#API_PutRecord_Errors>
    /// and of its common errors.
    #[must_use]
    pub(crate) fn remedy(&self) -> Remedy {
        match self.code.as_deref() {
            Some("InvalidArgumentException") if self.message.contains("SequenceNumberForOrdering") => {
                Remedy::WithoutOrdering
            }
            Some(
                "ResourceNotFoundException"
                | "InvalidArgumentException"
                | "ValidationException"
                | "SerializationException"
                | "AccessDeniedException"
                | "NotAuthorized"
                | "OptInRequired"
                | "KMSAccessDeniedException"
                | "KMSDisabledException"
                | "KMSInvalidStateException"
                | "KMSNotFoundException"
                | "KMSOptInRequired"
                | "UnrecognizedClientException"
                | "InvalidClientTokenId"
                | "InvalidSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "ExpiredToken"
                | "ExpiredTokenException"
                | NO_CREDENTIALS,
            ) => Remedy::Hold,
            _ => Remedy::Again,
        }
    }
}

impl Remedy {
    /// How long to wait after this many failures in a row (1 is the first); see [`backoff`].
    #[must_use]
    pub(crate) fn pause(self, failures: u32, random: u64) -> Duration {
        let (first, longest) = match self {
            Self::WithoutOrdering | Self::Again => (50, 10_000),
            Self::Hold => (2_000, 30_000),
        };
        backoff(Duration::from_millis(first)..=Duration::from_millis(longest), failures, random)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(code: &str, message: &str) -> Failure {
        Failure { code: Some(code.to_owned()), message: message.to_owned() }
    }

    #[test]
    fn one_remedy_for_each_failure() {
        for (code, message, remedy) in [
            ("ProvisionedThroughputExceededException", "slow down", Remedy::Again),
            ("InternalFailure", "", Remedy::Again),
            ("ServiceUnavailable", "", Remedy::Again),
            ("ResourceNotFoundException", "no stream", Remedy::Hold),
            ("AccessDeniedException", "", Remedy::Hold),
            ("ExpiredTokenException", "", Remedy::Hold),
            (NO_CREDENTIALS, "", Remedy::Hold),
            ("InvalidArgumentException", "SequenceNumberForOrdering is not valid", Remedy::WithoutOrdering),
            ("InvalidArgumentException", "another one", Remedy::Hold),
        ] {
            assert_eq!(failure(code, message).remedy(), remedy, "{code}");
        }
        assert_eq!(Failure { code: None, message: "connection reset".to_owned() }.remedy(), Remedy::Again);
    }
}
