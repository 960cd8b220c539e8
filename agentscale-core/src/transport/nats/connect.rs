use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_nats::{ConnectErrorKind, ConnectOptions, Event, ServerAddr, jetstream};
use moka::sync::Cache;
use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::answered::Answered;
use super::asked::Asked;
use super::config::NatsTransportConfig;
use super::counters::Counters;
use super::dead::DeadLetters;
use super::outgoing::{Outgoing, speak};
use super::subjects::Subjects;
use super::{KEPT_FOR, NatsTransport, Shared};
use crate::time::{Clock, SystemClock};
use crate::{Error, ErrorKind, Result};

/// Subjects of which it is remembered whether a stream keeps them.
const KEPT_SUBJECTS: u64 = 10_000;
/// Deliveries that wait for the reader of one subscription. It never waits for an inbox, so that few do.
const INCOMING: usize = 65_536;

/// Where NATS is, and who connects.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatsConnection {
    /// Addresses as `nats://user:password@host:port` or `tls://host:port`, those of one cluster; the first user that is
    /// named is the user of all.
    pub servers: Vec<String>,
    /// A file with the credentials of a user, as `nsc` writes it.
    pub credentials_file: Option<PathBuf>,
    /// Certificates in PEM that vouch for the servers', beside those of the system.
    pub root_certificates_file: Option<PathBuf>,
    /// The certificate in PEM by which this side is known to the servers; it needs `client_key_file`.
    pub client_certificate_file: Option<PathBuf>,
    /// Its key in PEM.
    pub client_key_file: Option<PathBuf>,
    /// The name under which the servers list this connection.
    pub name: Option<String>,
}

impl NatsConnection {
    /// A connection to one server.
    pub fn to(server: impl Into<String>) -> Self {
        Self { servers: vec![server.into()], ..Self::default() }
    }

    async fn options(&self, servers: &[ServerAddr]) -> Result<ConnectOptions> {
        let invalid = |field: &'static str| {
            Error::new(ErrorKind::InvalidInput, "connect to nats").with_context("field", field)
        };
        let mut options = ConnectOptions::new();
        // The client does not look for them there.
        if let Some((user, password)) = servers.iter().find_map(|server| {
            let plain = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
            Some((plain(server.username()?), plain(server.password()?)))
        }) {
            options = options.user_and_password(user, password);
        }
        if let Some(file) = &self.credentials_file {
            options = options
                .credentials_file(file)
                .await
                .map_err(|error| invalid("credentials_file").with_source(error))?;
        }
        if let Some(file) = &self.root_certificates_file {
            options = options.add_root_certificates(file.clone());
        }
        match (&self.client_certificate_file, &self.client_key_file) {
            (Some(certificate), Some(key)) => {
                options = options.add_client_certificate(certificate.clone(), key.clone());
            }
            (None, None) => {}
            (None, Some(_)) => return Err(invalid("client_certificate_file")),
            (Some(_), None) => return Err(invalid("client_key_file")),
        }
        if let Some(name) = &self.name {
            options = options.name(name);
        }
        Ok(options)
    }

    fn addresses(&self) -> Result<Vec<ServerAddr>> {
        let invalid =
            || Error::new(ErrorKind::InvalidInput, "connect to nats").with_context("field", "servers");
        if self.servers.is_empty() || self.servers.iter().any(String::is_empty) {
            return Err(invalid());
        }
        // The address itself may hold a password.
        self.servers.iter().map(|server| server.parse().map_err(|_| invalid())).collect()
    }
}

/// Without users and passwords.
impl fmt::Debug for NatsConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = |server: &String| server.rsplit('@').next().unwrap_or_default().to_owned();
        let servers: Vec<_> = self.servers.iter().map(host).collect();
        f.debug_struct("NatsConnection")
            .field("servers", &servers)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl NatsTransport {
    /// Connects with the default options.
    ///
    /// # Errors
    /// Those of [`connect_with`](Self::connect_with).
    pub async fn connect(server: &str) -> Result<Self> {
        let clock = Arc::new(SystemClock::new());
        Self::connect_with(NatsConnection::to(server), NatsTransportConfig::default(), clock).await
    }

    /// Connects; deadlines are read by `clock`.
    ///
    /// # Errors
    /// `invalid_input` for options that cannot work, by field; `unavailable` where no server answers or none lets this
    /// user in.
    pub async fn connect_with(
        connection: NatsConnection,
        config: NatsTransportConfig,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        config.check()?;
        let counters = Arc::<Counters>::default();
        let (connected, reconnected) = watch::channel(0);
        let seen = counters.clone();
        let servers = connection.addresses()?;
        let client = connection
            .options(&servers)
            .await?
            .client_capacity(config.outgoing)
            .subscription_capacity(INCOMING)
            .ping_interval(Duration::from_secs(5))
            .event_callback(move |event| {
                match event {
                    // The first one is no news.
                    Event::Connected => {
                        connected.send_if_modified(|times| {
                            *times += 1;
                            let again = *times > 1;
                            if again {
                                seen.add(&seen.reconnected);
                            }
                            again
                        });
                    }
                    Event::SlowConsumer(_) => seen.add(&seen.missed),
                    event => tracing::debug!(%event, "nats"),
                }
                async {}
            })
            .connect(servers)
            .await
            .map_err(refused)?;
        let jetstream = jetstream::new(client.clone());
        let subjects = Subjects::new(&config.prefix);
        let dead = DeadLetters::new(jetstream.clone(), counters.clone(), &subjects, &config);
        let (asked, read) = Asked::open(&client, counters.clone(), reconnected).await?;
        let (outgoing, frames) = Outgoing::new();
        let kept = Cache::builder().max_capacity(KEPT_SUBJECTS).time_to_live(KEPT_FOR).build();
        let speak = speak(client.clone(), dead.clone(), frames);
        let shared = Shared {
            config,
            clock,
            client,
            jetstream,
            subjects,
            counters,
            answered: Arc::new(Answered::new()),
            asked,
            outgoing,
            dead,
            kept,
            members: Arc::default(),
            tasks: std::sync::Mutex::default(),
        };
        shared.spawn(read);
        shared.spawn(speak);
        Ok(Self { shared: Arc::new(shared) })
    }
}

fn refused(error: async_nats::ConnectError) -> Error {
    let kind = match error.kind() {
        ConnectErrorKind::Authentication | ConnectErrorKind::AuthorizationViolation => {
            ErrorKind::Unauthenticated
        }
        ConnectErrorKind::ServerParse => ErrorKind::InvalidInput,
        _ => ErrorKind::Unavailable,
    };
    Error::new(kind, "connect to nats").with_source(error)
}
