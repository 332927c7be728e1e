//! The socket to PostgreSQL, encrypted where the settings want it.
//!
//! Settings come in and a [`Socket`] leaves on which nothing but the negotiation of TLS has been said. Both kinds of
//! connection, SQL and replication, begin here, so that both are made and protected the same way.

use std::error::Error;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;

use super::failure::{Class, ServerError, class_of_client_error};
use super::settings::{Host, Settings, Tls, Verify};
use super::tls;

/// How long a connection may be silent before the kernel asks whether the peer is there. The kernel's own two hours
/// are too long: a slot stays active for as long.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
/// Between one such question and the next.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// Questions without an answer after which the peer is gone.
const KEEPALIVE_RETRIES: u32 = 3;
/// How long sent bytes may stay unacknowledged before the peer is gone.
const USER_TIMEOUT: Duration = Duration::from_secs(60);

/// A connection that could not be made, up to and including the log-in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectError {
    #[error("{address}: cannot connect")]
    Unreachable { address: String, source: io::Error },
    #[error("{address}: expected a connection within {} s, found none", within.as_secs())]
    TimedOut { address: String, within: Duration },
    #[error("{address}: the connection broke during log-in")]
    Lost { address: String, source: io::Error },
    #[error(
        "{address}: expected TLS, which sslmode asks for, found a server without; set ssl = on there, or use another sslmode"
    )]
    TlsRefused { address: String },
    #[error("{address}: TLS handshake failed")]
    Handshake { address: String, source: io::Error },
    #[error("{address}: TLS cannot be set up")]
    Tls { address: String, source: tls::TlsError },
    #[error("{address}: expected a host name or an IP address to verify the certificate for")]
    ServerName { address: String },
    #[error("{address}: the server refused the log-in of {user:?} to database {dbname:?}")]
    Refused { address: String, user: String, dbname: String, source: Box<ServerError> },
    #[error(
        "{address}: the server asks for the password of {user:?}, found none for database {dbname:?}; set PGPASSWORD, or add a line to the password file (~/.pgpass, or PGPASSFILE)"
    )]
    NoPassword { address: String, user: String, dbname: String },
    #[error(
        "{address}: expected log-in by trust, password, md5 or scram-sha-256, found {found}; change the server's pg_hba.conf"
    )]
    Method { address: String, found: String },
    #[error("{address}: log-in failed")]
    LogIn { address: String, source: Box<dyn Error + Send + Sync> },
    #[error("{address}: log-in failed")]
    Client { address: String, source: tokio_postgres::Error },
}

impl ConnectError {
    /// Says whether trying again may mend it.
    pub(crate) fn class(&self) -> Class {
        match self {
            // A socket that we may not open stays so; everything else may be a server that restarts, a failover, or
            // the network.
            Self::Unreachable { source, .. } if source.kind() == io::ErrorKind::PermissionDenied => Class::Fatal,
            // rustls reports what it thinks of certificates and protocols as invalid data.
            Self::Handshake { source, .. } if source.kind() == io::ErrorKind::InvalidData => Class::Fatal,
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Lost { .. } | Self::Handshake { .. } => {
                Class::Transient
            }
            Self::Refused { source, .. } => source.class(),
            Self::Client { source, .. } => class_of_client_error(source),
            Self::TlsRefused { .. }
            | Self::Tls { .. }
            | Self::ServerName { .. }
            | Self::NoPassword { .. }
            | Self::Method { .. }
            | Self::LogIn { .. } => Class::Fatal,
        }
    }

    pub(super) fn refused(settings: &Settings, source: Box<ServerError>) -> Self {
        Self::Refused {
            address: settings.address().to_string(),
            user: settings.user.clone(),
            dbname: settings.dbname.clone(),
            source,
        }
    }

    pub(super) fn no_password(settings: &Settings) -> Self {
        Self::NoPassword {
            address: settings.address().to_string(),
            user: settings.user.clone(),
            dbname: settings.dbname.clone(),
        }
    }

    pub(super) fn lost(settings: &Settings, source: io::Error) -> Self {
        Self::Lost { address: settings.address().to_string(), source }
    }
}

/// Bounds one attempt to connect by the settings' timeout.
///
/// # Errors
///
/// Fails as the attempt does, or with [`ConnectError::TimedOut`].
pub(super) async fn within<T>(
    settings: &Settings,
    attempt: impl Future<Output = Result<T, ConnectError>>,
) -> Result<T, ConnectError> {
    match tokio::time::timeout(settings.connect_timeout, attempt).await {
        Ok(result) => result,
        Err(_) => {
            Err(ConnectError::TimedOut { address: settings.address().to_string(), within: settings.connect_timeout })
        }
    }
}

/// A connected socket.
pub(crate) enum Socket {
    /// Over TCP, in the clear.
    Tcp(TcpStream),
    /// On this machine.
    Unix(UnixStream),
    /// Over TCP, encrypted.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects, and negotiates TLS. Does not log in, and has no time limit of its own.
    ///
    /// # Errors
    ///
    /// Fails where nobody answers, and where TLS is required and cannot be had.
    pub(crate) async fn connect(settings: &Settings) -> Result<Self, ConnectError> {
        let host = match &settings.host {
            Host::Tcp(host) => host,
            Host::Unix(_) => return unix(settings).await,
        };
        match &settings.tls {
            Tls::Disable => tcp(settings, host).await.map(Self::Tcp),
            Tls::Require(verify) => match encrypted(settings, host, verify).await? {
                Negotiated::Encrypted(socket) => Ok(socket),
                Negotiated::Refused(_) => Err(ConnectError::TlsRefused { address: settings.address().to_string() }),
            },
            Tls::Prefer(verify) => match encrypted(settings, host, verify).await {
                Ok(Negotiated::Encrypted(socket) | Negotiated::Refused(socket)) => Ok(socket),
                // That is what prefer means (libpq does the same): who does not want it says require.
                Err(error @ ConnectError::Handshake { .. }) => {
                    let cause = error.source().map(ToString::to_string);
                    tracing::warn!(address = %settings.address(), cause, "TLS handshake failed, going on without TLS: sslmode is prefer");
                    tcp(settings, host).await.map(Self::Tcp)
                }
                Err(error) => Err(error),
            },
        }
    }

    /// The channel binding of the TLS session, for SCRAM-SHA-256-PLUS.
    pub(crate) fn channel_binding(&self) -> Option<Vec<u8>> {
        match self {
            Self::Tcp(_) | Self::Unix(_) => None,
            Self::Tls(stream) => tls::channel_binding(stream.get_ref().1.peer_certificates()?.first()?),
        }
    }
}

async fn unix(settings: &Settings) -> Result<Socket, ConnectError> {
    let path = settings.socket_path().unwrap_or_default();
    UnixStream::connect(path)
        .await
        .map(Socket::Unix)
        .map_err(|source| ConnectError::Unreachable { address: settings.address().to_string(), source })
}

async fn tcp(settings: &Settings, host: &str) -> Result<TcpStream, ConnectError> {
    let unreachable = |source| ConnectError::Unreachable { address: settings.address().to_string(), source };
    let stream = TcpStream::connect((host, settings.port)).await.map_err(unreachable)?;
    // A status update is small and shall not wait for another.
    stream.set_nodelay(true).map_err(unreachable)?;
    let keepalive =
        TcpKeepalive::new().with_time(KEEPALIVE_IDLE).with_interval(KEEPALIVE_INTERVAL).with_retries(KEEPALIVE_RETRIES);
    let socket = SockRef::from(&stream);
    socket.set_tcp_keepalive(&keepalive).map_err(unreachable)?;
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(Some(USER_TIMEOUT)).map_err(unreachable)?;
    Ok(stream)
}

enum Negotiated {
    Encrypted(Socket),
    /// The server has no TLS, and goes on with this.
    Refused(Socket),
}

async fn encrypted(settings: &Settings, host: &str, verify: &Verify) -> Result<Negotiated, ConnectError> {
    let address = || settings.address().to_string();
    let connector = tls::connector(verify).map_err(|source| ConnectError::Tls { address: address(), source })?;
    let name = match (ServerName::try_from(host.to_owned()), verify) {
        (Ok(name), _) => name,
        (Err(_), Verify::ChainAndName(_)) => return Err(ConnectError::ServerName { address: address() }),
        // Names with an underscore resolve and are none to TLS; where none is verified, none is needed.
        (Err(_), Verify::Nothing | Verify::Chain(_)) => ServerName::from(std::net::IpAddr::from([0, 0, 0, 0])),
    };
    let mut stream = tcp(settings, host).await?;
    let lost = |source| ConnectError::lost(settings, source);
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    stream.write_all(&request).await.map_err(lost)?;
    // One byte and no more: what follows it in the clear must not pass for encrypted (CVE-2021-23222).
    match stream.read_u8().await.map_err(lost)? {
        b'S' => match connector.connect(name, stream).await {
            Ok(stream) => Ok(Negotiated::Encrypted(Socket::Tls(Box::new(stream)))),
            Err(source) => Err(ConnectError::Handshake { address: address(), source }),
        },
        b'N' => Ok(Negotiated::Refused(Socket::Tcp(stream))),
        // An error instead: the server could not start a process. It says so again to whoever asks without TLS.
        b'E' => Err(lost(io::Error::other("the server answered the request for TLS with an error"))),
        other => {
            let source = format!("answer to the request for TLS: expected S, N or E, found 0x{other:02X}").into();
            Err(ConnectError::LogIn { address: address(), source })
        }
    }
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Unix(stream) => Pin::new(stream).poll_read(context, buffer),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Unix(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Self::Unix(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(context),
        }
    }
}
