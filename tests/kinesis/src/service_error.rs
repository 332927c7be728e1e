//! What the service answers when it refuses a request.
//!
//! Errors are made where a rule is broken (`stream`, `limits`, `store`, `operations`) or by a fault, and end as the body
//! of an answer in `server`.

use std::borrow::Cow;

/// Holds an error of the service, as its answer carries it.
///
/// See "Common Error Types" and the "Errors" section of each operation in the Amazon Kinesis Data Streams API
/// reference.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct ServiceError {
    /// The status of the HTTP answer.
    pub status: u16,
    /// The error's name, such as `ResourceNotFoundException`.
    pub code: Cow<'static, str>,
    /// The text for people.
    pub message: String,
}

impl ServiceError {
    fn refusal(code: &'static str, message: impl Into<String>) -> Self {
        Self { status: 400, code: Cow::Borrowed(code), message: message.into() }
    }

    pub(crate) fn validation(message: impl Into<String>) -> Self {
        Self::refusal("ValidationException", message)
    }

    pub(crate) fn invalid_argument(message: impl Into<String>) -> Self {
        Self::refusal("InvalidArgumentException", message)
    }

    pub(crate) fn serialization(message: impl Into<String>) -> Self {
        Self::refusal("SerializationException", message)
    }

    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::refusal("ResourceNotFoundException", message)
    }

    pub(crate) fn in_use(message: impl Into<String>) -> Self {
        Self::refusal("ResourceInUseException", message)
    }

    pub(crate) fn unknown_operation(message: impl Into<String>) -> Self {
        Self::refusal("UnknownOperationException", message)
    }

    pub(crate) fn internal_failure() -> Self {
        Self { status: 500, code: Cow::Borrowed("InternalFailure"), message: "internal failure".to_owned() }
    }
}
