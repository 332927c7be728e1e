//! The ordinary SQL connection, for the slot, the catalogs and peeking.
//!
//! Settings come in and a tokio-postgres client leaves. It is made on the same socket, TLS and log-in rules as the
//! replication connection and with the same session settings, so that the same row renders the same in both.

use std::error::Error as _;
use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use super::connect::{ConnectError, Socket, within};
use super::settings::Settings;

/// The session settings on which the text of a payload depends, as start-up `options`.
///
/// Any of them may be set otherwise for the server, the database or the role; options given at start-up win over all
/// of those. `search_path` is empty so that a type outside pg_catalog is always written with its schema, and
/// `statement_timeout` is off because decoding, and the creation of a slot, rightly take as long as the transactions
/// that they wait for.
pub(crate) const PINNED: &str = "-c DateStyle=ISO -c IntervalStyle=postgres -c TimeZone=UTC -c bytea_output=hex \
     -c extra_float_digits=3 -c search_path= -c lc_monetary=C -c quote_all_identifiers=off -c statement_timeout=0";

/// The encoding in which the server talks to us. It leaves payloads, which come as bytes, alone.
pub(super) const CLIENT_ENCODING: &str = "UTF8";

/// Connects and logs in, within the settings' timeout. The connection ends with the client.
///
/// # Errors
///
/// Fails where the server cannot be reached or refuses.
pub(crate) async fn open(settings: &Settings) -> Result<tokio_postgres::Client, ConnectError> {
    let (client, connection) = within(settings, log_in(settings)).await?;
    let address = settings.address().to_string();
    tokio::spawn(async move {
        // Whoever uses the client gets "connection closed" and acts on that; only the reason would be lost.
        if let Err(error) = connection.await {
            let cause = error.source().map(ToString::to_string);
            tracing::debug!(address, %error, cause, "SQL connection ended");
        }
    });
    Ok(client)
}

async fn log_in(
    settings: &Settings,
) -> Result<(tokio_postgres::Client, tokio_postgres::Connection<Established, Established>), ConnectError> {
    let mut config = tokio_postgres::Config::new();
    // tokio-postgres sends client_encoding=UTF8 by itself.
    config.user(&settings.user).dbname(&settings.dbname).application_name(&settings.application_name).options(PINNED);
    let password = settings.password();
    if let Some(password) = &password {
        config.password(password.as_bytes());
    }
    let socket = Socket::connect(settings).await?;
    // TLS, where there is any, is already there. Saying "direct" keeps tokio-postgres from negotiating it once more,
    // and still lets it ask for the channel binding.
    if matches!(socket, Socket::Tls(_)) {
        config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct);
    } else {
        config.ssl_mode(SslMode::Disable);
    }
    config.connect_raw(Established(socket), Adopt).await.map_err(|source| match source.as_db_error() {
        Some(error) => ConnectError::refused(settings, Box::new(error.into())),
        None if asked_in_vain(&source) && password.is_none() => ConnectError::no_password(settings),
        None => ConnectError::Client { address: settings.address().to_string(), source },
    })
}

/// tokio-postgres has no kind of its own for a password that the server asks for and that is not there.
fn asked_in_vain(error: &tokio_postgres::Error) -> bool {
    error.source().is_some_and(|cause| cause.to_string() == "password missing")
}

/// A socket with TLS, or without, that tokio-postgres takes as it is.
struct Established(Socket);

/// The handshake that has already been made.
struct Adopt;

impl TlsConnect<Established> for Adopt {
    type Stream = Established;
    type Error = io::Error;
    type Future = Ready<Result<Established, io::Error>>;

    fn connect(self, stream: Established) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Established {
    fn channel_binding(&self) -> ChannelBinding {
        self.0.channel_binding().map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Established {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Established {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(context)
    }
}
