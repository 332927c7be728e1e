//! The other end of the wire: an HTTP client that speaks the protocol, for consumers and for the tests in this crate.
//!
//! It does not sign, so that it works with a local endpoint only, and it does not resend: an error is the caller's.

use std::io;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::server::{MEDIA_TYPE, TARGET, TARGET_PREFIX};

/// Says why a call gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Not a URL of a local endpoint.
    #[error("endpoint `{url}`: expected http://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
    },
    /// Nobody listens.
    #[error("connecting to {address}")]
    Connect {
        /// Host and port.
        address: String,
        /// The cause.
        source: io::Error,
    },
    /// The connection failed, or was closed before the answer.
    #[error("{operation} got no answer")]
    Http {
        /// The operation's name.
        operation: String,
        /// The cause.
        source: hyper::Error,
    },
    /// The endpoint refused.
    #[error("{operation} answered {status}, {code}: {message}")]
    Service {
        /// The operation's name.
        operation: String,
        /// The status of the HTTP answer.
        status: u16,
        /// The error's name.
        code: String,
        /// The error's text.
        message: String,
    },
    /// The answer is not what the protocol says.
    #[error("{operation}: expected {expected} in the answer")]
    Answer {
        /// The operation's name.
        operation: String,
        /// What was looked for.
        expected: &'static str,
    },
}

/// Holds a connection to an endpoint.
#[derive(Debug)]
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    connection: JoinHandle<()>,
}

impl Client {
    /// Connects to an endpoint by its URL. Needs a tokio runtime with I/O.
    ///
    /// # Errors
    ///
    /// If the URL is none, or nobody listens there.
    pub async fn connect(url: &str) -> Result<Self, ClientError> {
        let bad_url = || ClientError::Url { url: url.to_owned() };
        let uri: Uri = url.parse().map_err(|_| bad_url())?;
        if uri.scheme_str() != Some("http") {
            return Err(bad_url());
        }
        let authority = uri.authority().ok_or_else(bad_url)?;
        let address = format!("{}:{}", authority.host(), authority.port_u16().unwrap_or(80));
        let failed = |source| ClientError::Connect { address: address.clone(), source };
        let stream = TcpStream::connect(&address).await.map_err(failed)?;
        stream.set_nodelay(true).map_err(failed)?;
        let (sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|source| ClientError::Http { operation: "the connection".to_owned(), source })?;
        let connection = tokio::spawn(async move {
            // What ends the connection also fails the call that is under way.
            drop(connection.await);
        });
        Ok(Self { sender, authority: authority.to_string(), connection })
    }

    /// Calls an operation. An answer without a body is `Value::Null`.
    ///
    /// Not cancel-safe: the operation may have been applied.
    ///
    /// # Errors
    ///
    /// If the connection fails, or the endpoint answers with an error or with something else than JSON.
    pub async fn call(&mut self, operation: &str, request: &Value) -> Result<Value, ClientError> {
        let http = |source| ClientError::Http { operation: operation.to_owned(), source };
        let answer = |expected| ClientError::Answer { operation: operation.to_owned(), expected };
        let request = Request::post("/")
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, MEDIA_TYPE)
            .header(TARGET, format!("{TARGET_PREFIX}{operation}"))
            .body(Full::new(Bytes::from(request.to_string())))
            .map_err(|_| answer("a request that can be sent, and no line breaks"))?;
        // A connection that answered is not always ready for the next request at once.
        self.sender.ready().await.map_err(http)?;
        let response = self.sender.send_request(request).await.map_err(http)?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(http)?.to_bytes();
        if body.is_empty() && status == StatusCode::OK {
            return Ok(Value::Null);
        }
        let body: Value = serde_json::from_slice(&body).map_err(|_| answer("JSON"))?;
        if status == StatusCode::OK {
            return Ok(body);
        }
        let text = |name| body.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Err(ClientError::Service {
            operation: operation.to_owned(),
            status: status.as_u16(),
            code: text("__type"),
            message: text("message"),
        })
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.connection.abort();
    }
}
