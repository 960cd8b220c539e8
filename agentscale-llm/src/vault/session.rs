use std::time::Duration;

use agentscale_core::secrets::Secret;
use agentscale_core::{Error, ErrorKind, Result};
use serde::Serialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::VaultAuth;
use super::error::OPERATION;
use super::name::is_path;
use super::wire::{self, Granted, Login};
use crate::http::Client;

/// A token this old at least is exchanged where Vault refuses it: a younger one is refused for what it may not do.
const EXCHANGE_BEHIND: Duration = Duration::from_secs(10);

/// A longer life counts as this one.
const LONGEST_LEASE: Duration = Duration::from_secs(366 * 24 * 3600);

/// The token by which Vault knows this process.
#[derive(Debug)]
pub(super) struct Session {
    auth: VaultAuth,
    /// Held over a login and a renewal, so that there is one at a time.
    token: Mutex<Option<Token>>,
}

#[derive(Debug)]
struct Token {
    secret: Secret,
    since: Instant,
    /// When it is to be renewed; `None` for one that does not end, or cannot be renewed nor exchanged.
    renew_at: Option<Instant>,
    ends: Instant,
    lease: Duration,
    renewable: bool,
}

impl Session {
    pub(super) fn new(auth: VaultAuth) -> Result<Self> {
        match &auth {
            VaultAuth::AppRole { mount, .. } if !is_path(mount) => {
                Err(Error::new(ErrorKind::InvalidInput, OPERATION).with_context("field", "mount"))
            }
            _ => Ok(Self { auth, token: Mutex::new(None) }),
        }
    }

    /// The token, renewed where it is time.
    pub(super) async fn token(&self, client: &Client) -> Result<Secret> {
        let mut known = self.token.lock().await;
        if let VaultAuth::Token(named) = &self.auth {
            let secret = named.read().await?;
            if known.as_ref().is_none_or(|token| token.secret != secret) {
                match look_up(client, &secret).await {
                    Some(token) => *known = Some(token),
                    None => return Ok(secret),
                }
            }
        }
        if let Some(token) = known.as_mut() {
            if token.renew_at.is_none_or(|at| Instant::now() < at) {
                return Ok(token.secret.clone());
            }
            match (token.renewable.then_some(()), &self.auth) {
                (Some(()), _) if token.renew(client).await => return Ok(token.secret.clone()),
                // Whoever gave it gives another in time, or it ends.
                (_, VaultAuth::Token(_)) => return Ok(token.secret.clone()),
                _ => {}
            }
        }
        match (self.log_in(client).await, known.as_ref()) {
            (Ok(new), _) => Ok(known.insert(new).secret.clone()),
            (Err(_), Some(token)) if token.lasts() => Ok(token.secret.clone()),
            (Err(error), _) => Err(error),
        }
    }

    /// Another token in the place of one that Vault refused, where there is one to be had.
    pub(super) async fn token_instead_of(&self, refused: &Secret, client: &Client) -> Result<Option<Secret>> {
        if let VaultAuth::Token(named) = &self.auth {
            return named.read_instead_of(refused).await;
        }
        let mut known = self.token.lock().await;
        match known.as_ref() {
            Some(token) if token.secret != *refused => Ok(Some(token.secret.clone())),
            Some(token) if token.since.elapsed() < EXCHANGE_BEHIND => Ok(None),
            _ => {
                let new = self.log_in(client).await?;
                Ok(Some(known.insert(new).secret.clone()))
            }
        }
    }

    async fn log_in(&self, client: &Client) -> Result<Token> {
        let VaultAuth::AppRole { mount, role_id, secret_id } = &self.auth else {
            return Err(Error::new(ErrorKind::Unauthenticated, "log in to vault"));
        };
        let (role, secret) = (role_id.read().await?, secret_id.read().await?);
        let login = Login { role_id: role.expose(), secret_id: secret.expose() };
        let answer = client.post(&format!("/v1/auth/{mount}/login"), &login).await;
        let answer = answer.map_err(|error| match error.kind() {
            ErrorKind::InvalidInput | ErrorKind::PermissionDenied => {
                secret_id.rejected(&secret);
                Error::new(ErrorKind::Unauthenticated, "log in to vault").with_source(error)
            }
            _ => error,
        })?;
        Ok(Token::of(wire::granted(&client.body(answer).await?)?))
    }
}

impl Token {
    fn of(granted: Granted) -> Self {
        let Granted { client_token, lease_duration, renewable } = granted;
        Self::new(client_token, Duration::from_secs(lease_duration), renewable)
    }

    fn new(secret: Secret, lease: Duration, renewable: bool) -> Self {
        let since = Instant::now();
        let lease = lease.min(LONGEST_LEASE);
        let renew_at = (!lease.is_zero()).then(|| since + lease * 2 / 3);
        Self { secret, since, renew_at, ends: since + lease, lease, renewable }
    }

    fn lasts(&self) -> bool {
        Instant::now() < self.ends
    }

    /// Whether Vault has given it a new life of a length worth having: towards the longest that it may live they get shorter.
    async fn renew(&mut self, client: &Client) -> bool {
        #[derive(Serialize)]
        struct Renewal {}

        let renewed: Result<Granted> = async {
            let answer = client.post_as(&self.secret, "/v1/auth/token/renew-self", &Renewal {}).await?;
            wire::granted(&client.body(answer).await?)
        }
        .await;
        // A failure leaves the token as it is: the next step is another, or this one while it lasts.
        let Ok(granted) = renewed else { return false };
        let renewed = Self::of(granted);
        let is_worth = renewed.lease >= self.lease / 2;
        (self.renew_at, self.ends, self.renewable) = (renewed.renew_at, renewed.ends, renewed.renewable);
        is_worth
    }
}

/// What is known of a token from elsewhere; `None` where Vault did not say. Not every token may ask: then its life is its
/// giver's matter.
async fn look_up(client: &Client, secret: &Secret) -> Option<Token> {
    let looked = async {
        let answer = client.get_as(secret, "/v1/auth/token/lookup-self").await?;
        wire::looked(&client.body(answer).await?)
    };
    match looked.await {
        Ok(looked) if looked.renewable => {
            Some(Token::new(secret.clone(), Duration::from_secs(looked.ttl), true))
        }
        Ok(_) => Some(Token::new(secret.clone(), Duration::ZERO, false)),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            Some(Token::new(secret.clone(), Duration::ZERO, false))
        }
        Err(_) => None,
    }
}
