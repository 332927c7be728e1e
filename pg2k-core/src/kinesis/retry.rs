//! What becomes of a failed PutRecord: the one place that classifies it, and how long to wait. No clock, no randomness.

use std::time::Duration;

/// Why a PutRecord has no acknowledgement. Whether it was applied is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The service's name for the error, such as `ProvisionedThroughputExceededException`; `None` where no answer came that
    /// could be understood.
    pub code: Option<String>,
    /// What it says of it, in one line.
    pub message: String,
}

/// What to do about a failure. The record is never given up: in each case the same bytes are sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// Send again after a pause: it passes by itself.
    Again,
    /// Send again, once without the ordering number, which the service refused.
    WithoutOrdering,
    /// Send again after long pauses: somebody has to mend something.
    Hold,
}

/// The longest pause between two attempts.
const LONGEST: Duration = Duration::from_secs(10);
/// The upper end of the first pause.
const FIRST: Duration = Duration::from_millis(50);

impl Failure {
    /// What to do about it.
    ///
    /// The names are those of <https://docs.aws.amazon.com/kinesis/latest/APIReference/API_PutRecord.html#API_PutRecord_Errors>
    /// and of its common errors.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
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
                | "CredentialsError",
            ) => Remedy::Hold,
            _ => Remedy::Again,
        }
    }
}

/// How long to wait after this many failures in a row (1 is the first): twice as long each time up to a bound, and of that
/// the upper half at random, so that many senders do not come back at once. `random` is any number.
#[must_use]
pub fn pause(failures: u32, random: u64) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let longest = (FIRST * (1 << doublings)).min(LONGEST);
    let half = longest / 2;
    let micros = u64::try_from(half.as_micros()).unwrap_or(u64::MAX).max(1);
    half + Duration::from_micros(random % micros)
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
            ("InvalidArgumentException", "SequenceNumberForOrdering is not valid", Remedy::WithoutOrdering),
            ("InvalidArgumentException", "another one", Remedy::Hold),
        ] {
            assert_eq!(failure(code, message).remedy(), remedy, "{code}");
        }
        assert_eq!(Failure { code: None, message: "connection reset".to_owned() }.remedy(), Remedy::Again);
    }

    #[test]
    fn pauses_grow_to_a_bound() {
        for (failures, shortest, longest) in
            [(1, 25, 50), (2, 50, 100), (5, 400, 800), (9, 5_000, 10_000), (u32::MAX, 5_000, 10_000)]
        {
            for random in [0, 1, 12_345_678_901, u64::MAX] {
                let pause = pause(failures, random).as_millis();
                assert!((shortest..=longest).contains(&pause), "{failures} failures: {pause} ms");
            }
        }
    }
}
