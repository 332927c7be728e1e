//! HTTP: connections, and one request after another on each.
//!
//! Requests come in over a socket, go to `operations`, and are answered or made to fail as `fault` says. Only one thread
//! runs here, so requests are applied one at a time, and when it ends every connection is closed.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::endpoint::Shared;
use crate::fault::Fault;
use crate::limits;
use crate::operations::{self, Operation};
use crate::service_error::ServiceError;

/// The media type of the AWS JSON 1.1 protocol.
pub(crate) const MEDIA_TYPE: &str = "application/x-amz-json-1.1";
/// The header that names the operation.
pub(crate) const TARGET: &str = "x-amz-target";
/// What comes before the operation in that header: the service and the version of its API.
pub(crate) const TARGET_PREFIX: &str = "Kinesis_20131202.";

/// Holds a running server. Dropping it closes the listener and every connection.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Says that a connection is to be closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct Closed;

impl Server {
    /// Listens on the loopback interface, port 0 for any, and serves on a thread of its own.
    pub(crate) fn start(port: u16, shared: Arc<Shared>) -> io::Result<Self> {
        // The standard library sets SO_REUSEADDR on Unix: the port can be had again while old connections linger.
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))?;
        listener.set_nonblocking(true)?;
        let port = listener.local_addr()?.port();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(guard);
        let thread = std::thread::Builder::new().name("kinesis-endpoint".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, shared, stopped));
            // The runtime is dropped here, and with it every connection.
        })?;
        Ok(Self { port, stop: Some(stop), thread: Some(thread) })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            // A panic on that thread has printed itself, and its connections are closed all the same.
            drop(thread.join());
        }
    }
}

/// Accepts connections until the other end of `stopped` is dropped.
async fn serve(listener: tokio::net::TcpListener, shared: Arc<Shared>, stopped: oneshot::Receiver<Infallible>) {
    let mut stopped = pin!(stopped);
    loop {
        let accepted = tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(connection(stream, Arc::clone(&shared)));
            }
            // The client is gone already, or there are too many open files: a moment later there may be fewer.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: tokio::net::TcpStream, shared: Arc<Shared>) {
    // Without it answers wait for the client's delayed acknowledgement. A socket that refuses is only slower.
    drop(stream.set_nodelay(true));
    let service = service_fn(|request| respond(Arc::clone(&shared), request));
    let served = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
    // Clients come and go, and faults close connections; who asks learns it at the client's end.
    drop(served);
}

async fn respond(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Closed> {
    let (head, body) = request.into_parts();
    let body = Limited::new(body, limits::MAX_BODY_BYTES).collect().await;
    let request_id = shared.next_request();
    let result = match (operation(&head.method, &head.headers), body) {
        (Err(error), _) => Err(error),
        (Ok(_), Err(_)) => {
            // Either too long, or cut off; then nobody reads this.
            let limit = limits::MAX_BODY_BYTES;
            Err(ServiceError::validation(format!("the request's body has more than {limit} bytes")))
        }
        (Ok(operation), Ok(body)) => carry_out(&shared, operation, body.to_bytes()).await?,
    };
    let (status, body) = match result {
        Ok(Value::Null) => (StatusCode::OK, Bytes::new()),
        Ok(answer) => (StatusCode::OK, Bytes::from(answer.to_string())),
        Err(error) => {
            let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, Bytes::from(json!({ "__type": error.code, "message": error.message }).to_string()))
        }
    };
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    // Clients print it with errors. Shaped like the service's, which are UUIDs.
    if let Ok(id) = HeaderValue::from_str(&format!("00000000-0000-4000-8000-{request_id:012x}")) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    Ok(response)
}

/// Finds out what a request asks for.
fn operation(method: &Method, headers: &HeaderMap) -> Result<Operation, ServiceError> {
    if method != Method::POST {
        return Err(ServiceError::unknown_operation(format!("expected POST, found {method}")));
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let target = text(TARGET);
    let operation = target.strip_prefix(TARGET_PREFIX).ok_or_else(|| {
        ServiceError::unknown_operation(format!("X-Amz-Target: expected {TARGET_PREFIX}<operation>, found `{target}`"))
    })?;
    let media_type = text(CONTENT_TYPE.as_str());
    if !media_type.starts_with(MEDIA_TYPE) {
        let message = format!("Content-Type: expected {MEDIA_TYPE}, found `{media_type}`");
        return Err(ServiceError::serialization(message));
    }
    operation.parse()
}

/// Performs an operation, or fails it as the plan says.
async fn carry_out(
    shared: &Arc<Shared>,
    operation: Operation,
    body: Bytes,
) -> Result<Result<Value, ServiceError>, Closed> {
    let fault = if operation.is_put() { shared.next_put() } else { None };
    let Some(fault) = fault else { return Ok(perform(shared, operation, &body)) };
    match fault {
        Fault::Error { status, code, message } => Ok(Err(ServiceError { status, code: code.into(), message })),
        Fault::ErrorAfter => Ok(perform(shared, operation, &body).and(Err(ServiceError::internal_failure()))),
        Fault::DropBefore => Err(Closed),
        Fault::DropAfter => {
            // Lost with the answer: whether it was applied shows in the store.
            drop(perform(shared, operation, &body));
            Err(Closed)
        }
        Fault::DropThenApply(time) => {
            let shared = Arc::clone(shared);
            tokio::spawn(async move {
                tokio::time::sleep(time).await;
                drop(perform(&shared, operation, &body));
            });
            Err(Closed)
        }
        Fault::Delay(time) => {
            tokio::time::sleep(time).await;
            Ok(perform(shared, operation, &body))
        }
        Fault::Hang => std::future::pending().await,
    }
}

fn perform(shared: &Shared, operation: Operation, body: &[u8]) -> Result<Value, ServiceError> {
    operations::perform(shared, operation, body, SystemTime::now())
}
