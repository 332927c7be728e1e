//! The Kinesis service: what it says of the stream, and PutRecord.
//!
//! Requests come from a [`lane`](super::lane), answers go back to it. The SDK's own retries are off: a resend that nobody
//! counts could put a record behind a later one.

use std::error::Error;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, retry::RetryConfig, stalled_stream_protection::StalledStreamProtectionConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_kinesis::Client;
use aws_sdk_kinesis::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kinesis::primitives::Blob;
use aws_sdk_kinesis::types::{RecordDistributionStrategy, StreamStatus};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use tokio::time::{Instant, sleep};

use super::SequenceNumber;
use super::lane::{PARTITION_KEY, PutRequest};
use super::retry::{Failure, NO_CREDENTIALS};
use crate::cause::with_causes;

/// How long a connection may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one request may take. PutRecord of 10 MiB takes seconds on a slow line; a hang takes for ever.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a stream may take to become active: minutes, in busy regions.
const ACTIVE_TIMEOUT: Duration = Duration::from_secs(300);
/// What a stream takes for a record where the service does not say, in KiB.
/// <https://docs.aws.amazon.com/streams/latest/dev/service-sizes-and-limits.html>
const DEFAULT_MAX_RECORD_SIZE: i32 = 1_024;

/// Why the stream cannot be published to.
#[derive(Debug, thiserror::Error)]
pub(crate) enum KinesisError {
    /// Neither the environment nor a profile names a region.
    #[error("no AWS region: set AWS_REGION, or a region in the AWS profile")]
    NoRegion,
    /// The stream does not exist.
    #[error("stream {stream} not found: create it, or pass --create-stream SHARDS")]
    NoStream {
        /// Its name.
        stream: String,
    },
    /// The stream is there and of no use.
    #[error("stream {stream}: expected it to become ACTIVE within {} s, found {status}", ACTIVE_TIMEOUT.as_secs())]
    NotActive {
        /// Its name.
        stream: String,
        /// Its status.
        status: String,
    },
    /// The service spreads records over shards as it likes.
    #[error(
        "stream {stream}: expected the record distribution strategy USER_PARTITION_KEY, found AUTO, which keeps no order and lets \
         consumers drop aggregated records; change the stream's setting"
    )]
    NoOrder {
        /// Its name.
        stream: String,
    },
    /// The service refused, or could not be reached.
    #[error("{operation} of stream {stream} at {place}: {message}")]
    Service {
        /// What was asked.
        operation: &'static str,
        /// The stream.
        stream: String,
        /// The region or the endpoint.
        place: String,
        /// What came back.
        message: String,
    },
}

/// A stream, and the way to it.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    client: Client,
    name: String,
    /// The endpoint if one is set, else the region.
    place: String,
}

impl Stream {
    /// Prepares the client from the environment, the profile and the machine's role, as every AWS tool does. Nothing is
    /// sent yet.
    ///
    /// # Errors
    ///
    /// There is no region.
    pub(crate) async fn from_environment(name: String) -> Result<Self, KinesisError> {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(ATTEMPT_TIMEOUT)
            .build();
        let http =
            aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
        let config = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .load()
            .await;
        let region = config.region().ok_or(KinesisError::NoRegion)?.to_string();
        let place = config.endpoint_url().map_or(region, str::to_owned);
        Ok(Self { client: Client::new(&config), name, place })
    }

    /// Makes the stream; one that exists is fine.
    ///
    /// # Errors
    ///
    /// The service refused, or could not be reached.
    pub(crate) async fn create(&self, shards: u16) -> Result<(), KinesisError> {
        match self.client.create_stream().stream_name(&self.name).shard_count(i32::from(shards)).send().await {
            Ok(_) => tracing::info!(stream = self.name, shards, "stream created"),
            Err(error) if error.code() == Some("ResourceInUseException") => {}
            Err(error) => return Err(self.service_error("CreateStream", &error)),
        }
        Ok(())
    }

    /// Waits until the stream is active, and tells how large a record may be, in bytes: data and partition key.
    ///
    /// # Errors
    ///
    /// There is no such stream, it does not become active, or the service cannot be reached.
    pub(crate) async fn max_record_size(&self) -> Result<usize, KinesisError> {
        let deadline = Instant::now() + ACTIVE_TIMEOUT;
        loop {
            let answer = self.client.describe_stream_summary().stream_name(&self.name).send().await;
            let summary = match answer {
                Ok(answer) => answer.stream_description_summary,
                Err(error) if error.code() == Some("ResourceNotFoundException") => {
                    return Err(KinesisError::NoStream { stream: self.name.clone() });
                }
                Err(error) => return Err(self.service_error("DescribeStreamSummary", &error)),
            };
            let strategy = summary.as_ref().and_then(|summary| summary.record_distribution_strategy.as_ref());
            if strategy == Some(&RecordDistributionStrategy::Auto) {
                return Err(KinesisError::NoOrder { stream: self.name.clone() });
            }
            let status = summary.as_ref().map(|summary| summary.stream_status.clone());
            if let (Some(summary), Some(StreamStatus::Active | StreamStatus::Updating)) = (summary, status.as_ref()) {
                let kibibytes = summary.max_record_size_in_kib.unwrap_or(DEFAULT_MAX_RECORD_SIZE);
                let max_record_size = usize::try_from(kibibytes).unwrap_or_default() * 1_024;
                tracing::info!(stream = self.name, max_record_size, shards = summary.open_shard_count, "stream found");
                return Ok(max_record_size);
            }
            if Instant::now() > deadline {
                let status = status.map_or_else(|| "no status".to_owned(), |status| status.to_string());
                return Err(KinesisError::NotActive { stream: self.name.clone(), status });
            }
            sleep(Duration::from_secs(1)).await;
        }
    }

    /// Makes one PutRecord.
    ///
    /// # Errors
    ///
    /// There is no acknowledgement; the record may be stored all the same.
    pub(crate) async fn put(&self, request: PutRequest) -> Result<SequenceNumber, Failure> {
        let answer = self
            .client
            .put_record()
            .stream_name(&self.name)
            .partition_key(PARTITION_KEY)
            .explicit_hash_key(request.explicit_hash_key)
            .set_sequence_number_for_ordering(request.sequence_number_for_ordering.map(|number| number.to_string()))
            .data(Blob::new(request.data))
            .send()
            .await
            .map_err(|error| Failure { code: code(&error), message: message(&error) })?;
        let number = answer.sequence_number();
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let message = "expected a sequence number in the answer, found none".to_owned();
            return Err(Failure { code: None, message });
        }
        Ok(SequenceNumber::new(number))
    }

    fn service_error<E>(&self, operation: &'static str, error: &SdkError<E>) -> KinesisError
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let (stream, place) = (self.name.clone(), self.place.clone());
        KinesisError::Service { operation, stream, place, message: message(error) }
    }
}

/// The service's name for the error; a name of ours where there were no credentials to ask it with.
fn code<E: Error + ProvideErrorMetadata + 'static>(error: &SdkError<E>) -> Option<String> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<CredentialsError>() {
            return Some(NO_CREDENTIALS.to_owned());
        }
        cause = error.source();
    }
    error.code().map(str::to_owned)
}

/// What the service says, or what kept it from saying anything, in one line.
fn message<E: Error + ProvideErrorMetadata + 'static>(error: &SdkError<E>) -> String {
    match (error.code(), error.message()) {
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => with_causes(error),
    }
}
