//! HashiCorp Vault, and OpenBao, which speaks the same: secrets of the KV engine, version 2.

mod auth;
mod config;
mod error;
mod name;
mod session;
mod wire;

use agentscale_core::secrets::{Secret, SecretSource};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

pub use auth::VaultAuth;
pub use config::VaultConfig;

use crate::http::{Api, Client, ConnectionConfig, header_value};
use error::OPERATION;
use name::Name;
use session::Session;

/// The longest answer that is read.
const MAX_BYTES: usize = 1 << 20;

/// Secrets of a Vault by names such as `secret/llm/openai#key`: the engine's mount, the path in it, and the field there
/// (row K4g). The newest version is read.
///
/// Nothing is kept but the token, which is renewed behind two thirds of its life by the read that comes then: put
/// [`CachedSecrets`](agentscale_core::secrets::CachedSecrets) before this one, which reads in the background. Where the
/// token cannot be renewed, and where Vault no longer takes it, a role logs in anew.
///
/// A server in standby that forwards no requests redirects them, which is `unavailable`: name the active one.
///
/// # Errors
/// `not_found` for a path, a version or a field that is not there; `permission_denied` for what the token may not read;
/// `unauthenticated` where the login is refused; `unavailable` for a sealed Vault and one that cannot be reached;
/// `rate_limited`; `corrupt` for an answer that is not of this API and a field that is no text; `too_large` for one of more
/// than 1 MiB; `invalid_input` for a name of another form.
///
/// ```no_run
/// use agentscale_core::SecretSource;
/// use agentscale_core::secrets::{CachedSecrets, CachedSecretsConfig, EnvSecrets, NamedSecret};
/// use agentscale_llm::vault::{VaultAuth, VaultConfig, VaultSecrets};
///
/// # async fn example() -> agentscale_core::Result<()> {
/// let config = VaultConfig::new().with_address("https://vault.example.com:8200");
/// let auth = VaultAuth::Token(NamedSecret::new(EnvSecrets, "VAULT_TOKEN"));
/// let secrets = CachedSecrets::new(VaultSecrets::new(&config, auth)?, &CachedSecretsConfig::new())?;
/// let key = secrets.secret("secret/llm/openai#key").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct VaultSecrets {
    client: Client,
    session: Session,
}

impl VaultSecrets {
    /// Secrets of the Vault at an address.
    ///
    /// # Errors
    /// `invalid_input` for an address or a name that cannot stand in a request, and a time of zero; `unavailable` where the
    /// platform has no root certificates and the address is `https`.
    pub fn new(config: &VaultConfig, auth: VaultAuth) -> Result<Self> {
        let connection = ConnectionConfig {
            timeout_ms: config.timeout_ms,
            max_response_bytes: MAX_BYTES,
            ..ConnectionConfig::new()
        };
        let client = Client::new(&API, &config.address, headers(config)?, None, &connection)?;
        Ok(Self { client, session: Session::new(auth)? })
    }

    async fn read(&self, token: &Secret, name: &Name<'_>) -> Result<Secret> {
        let response = self.client.get_as(token, &name.url_path()).await?;
        wire::field(&self.client.body(response).await?, name.field)
    }
}

#[async_trait]
impl SecretSource for VaultSecrets {
    async fn secret(&self, name: &str) -> Result<Secret> {
        let parsed = Name::parse(name)?;
        let named = |error: Error| error.with_context("name", name);
        let token = self.session.token(&self.client).await.map_err(named)?;
        let read = self.read(&token, &parsed).await;
        // A token that has ended is refused as one that may not read.
        match read {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                match self.session.token_instead_of(&token, &self.client).await {
                    Ok(Some(other)) => self.read(&other, &parsed).await.map_err(named),
                    Ok(None) | Err(_) => Err(named(error)),
                }
            }
            read => read.map_err(named),
        }
    }
}

static API: Api = Api {
    operation: OPERATION,
    error: |status, _, _| error::from_status(status),
    rate_limits: |_, _| agentscale_core::llm::RateLimits::default(),
    request_id: "x-vault-request-id",
    key: (HeaderName::from_static("x-vault-token"), ""),
};

fn headers(config: &VaultConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    // Agents may demand it, as a request that someone was tricked into does not have it.
    headers.insert(HeaderName::from_static("x-vault-request"), HeaderValue::from_static("true"));
    if let Some(namespace) = &config.namespace {
        let value = header_value(&API, "namespace", namespace)?;
        headers.insert(HeaderName::from_static("x-vault-namespace"), value);
    }
    Ok(headers)
}
