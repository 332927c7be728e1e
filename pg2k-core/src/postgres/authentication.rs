//! The log-in on a replication connection.
//!
//! Settings go out as the start-up message and the answers to what the server asks; a connection that is ready for
//! commands is left. A password is sent only in the form that the server asks for.

use std::error::Error;

use bytes::BytesMut;
use postgres_protocol::authentication::{md5_hash, sasl};
use postgres_protocol::message::backend::{AuthenticationSaslBody, Message};
use postgres_protocol::message::frontend;
use tokio_postgres::fallible_iterator::FallibleIterator as _;

use super::channel::{Channel, ReplicationError, Reply};
use super::connect::ConnectError;
use super::password::Password;
use super::settings::Settings;
use super::sql::{CLIENT_ENCODING, PINNED};

/// Logs in as a walsender that is connected to a database.
///
/// # Errors
///
/// Fails where the server refuses, or asks for what we do not have.
pub(super) async fn log_in(channel: &mut Channel, settings: &Settings) -> Result<(), ConnectError> {
    let log_in = LogIn { channel, settings };
    log_in.run().await
}

struct LogIn<'a> {
    channel: &'a mut Channel,
    settings: &'a Settings,
}

impl LogIn<'_> {
    async fn run(mut self) -> Result<(), ConnectError> {
        let parameters = [
            ("user", self.settings.user.as_str()),
            ("database", &self.settings.dbname),
            ("replication", "database"),
            ("application_name", &self.settings.application_name),
            ("client_encoding", CLIENT_ENCODING),
            ("options", PINNED),
        ];
        self.send(|out| frontend::startup_message(parameters, out)).await?;
        loop {
            match self.receive().await? {
                Message::AuthenticationOk => break,
                Message::AuthenticationCleartextPassword => {
                    let password = self.password()?;
                    self.send(|out| frontend::password_message(password.as_bytes(), out)).await?;
                }
                Message::AuthenticationMd5Password(body) => {
                    let password = self.password()?;
                    let hash = md5_hash(self.settings.user.as_bytes(), password.as_bytes(), body.salt());
                    self.send(|out| frontend::password_message(hash.as_bytes(), out)).await?;
                }
                Message::AuthenticationSasl(body) => self.scram(&body).await?,
                other => return Err(self.unsupported(&other)),
            }
        }
        match self.receive().await? {
            Message::ReadyForQuery(_) => Ok(()),
            other => Err(self.failed(Reply::Message(other).unexpected("ReadyForQuery"))),
        }
    }

    /// <https://www.postgresql.org/docs/current/sasl-authentication.html>
    async fn scram(&mut self, offer: &AuthenticationSaslBody) -> Result<(), ConnectError> {
        let mechanisms: Vec<_> =
            offer.mechanisms().map(|name| Ok(name.to_owned())).collect().map_err(|e| self.failed(e))?;
        let offers = |wanted: &str| mechanisms.iter().any(|name| name == wanted);
        let binding = self.channel.socket.channel_binding();
        let (mechanism, binding) = match binding {
            Some(binding) if offers(sasl::SCRAM_SHA_256_PLUS) => {
                (sasl::SCRAM_SHA_256_PLUS, sasl::ChannelBinding::tls_server_end_point(binding))
            }
            // Tells the server that we could: if it offered it too, somebody in between took the offer away, and it
            // refuses.
            Some(_) if offers(sasl::SCRAM_SHA_256) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unrequested()),
            None if offers(sasl::SCRAM_SHA_256) => (sasl::SCRAM_SHA_256, sasl::ChannelBinding::unsupported()),
            _ => {
                let address = self.settings.address().to_string();
                return Err(ConnectError::Method { address, found: format!("SASL with {}", mechanisms.join(", ")) });
            }
        };
        let password = self.password()?;
        let mut scram = sasl::ScramSha256::new(password.as_bytes(), binding);
        self.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out)).await?;
        match self.receive().await? {
            Message::AuthenticationSaslContinue(body) => scram.update(body.data()).map_err(|e| self.failed(e))?,
            other => return Err(self.failed(Reply::Message(other).unexpected("AuthenticationSASLContinue"))),
        }
        self.send(|out| frontend::sasl_response(scram.message(), out)).await?;
        match self.receive().await? {
            // Here the server proves that it knows the password too.
            Message::AuthenticationSaslFinal(body) => scram.finish(body.data()).map_err(|e| self.failed(e)),
            other => Err(self.failed(Reply::Message(other).unexpected("AuthenticationSASLFinal"))),
        }
    }

    fn password(&self) -> Result<Password, ConnectError> {
        self.settings.password().ok_or_else(|| ConnectError::no_password(self.settings))
    }

    async fn send(&mut self, compose: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), ConnectError> {
        compose(&mut self.channel.outbox).map_err(|error| self.failed(error))?;
        self.channel.send().await.map_err(|error| self.replication(error))
    }

    async fn receive(&mut self) -> Result<Message, ConnectError> {
        match self.channel.receive().await.map_err(|error| self.replication(error))? {
            Reply::Message(message) => Ok(message),
            reply @ Reply::CopyBoth => Err(self.failed(reply.unexpected("a message of the log-in"))),
        }
    }

    fn replication(&self, error: ReplicationError) -> ConnectError {
        match error {
            ReplicationError::Lost(source) => ConnectError::lost(self.settings, source),
            ReplicationError::Closed => ConnectError::lost(self.settings, std::io::ErrorKind::UnexpectedEof.into()),
            ReplicationError::Server(source) => ConnectError::refused(self.settings, source),
            other => self.failed(other),
        }
    }

    fn failed(&self, source: impl Into<Box<dyn Error + Send + Sync>>) -> ConnectError {
        ConnectError::LogIn { address: self.settings.address().to_string(), source: source.into() }
    }

    fn unsupported(&self, message: &Message) -> ConnectError {
        let found = match message {
            Message::AuthenticationGss | Message::AuthenticationGssContinue(_) => "gss",
            Message::AuthenticationSspi => "sspi",
            Message::AuthenticationKerberosV5 => "kerberos 5",
            Message::AuthenticationScmCredential => "SCM credentials",
            _ => {
                return self.failed(ReplicationError::Unexpected {
                    expected: "a request of the log-in",
                    found: "another message".to_owned(),
                });
            }
        };
        ConnectError::Method { address: self.settings.address().to_string(), found: found.to_owned() }
    }
}
