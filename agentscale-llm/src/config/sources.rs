use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use agentscale_core::metrics::Metrics;
use agentscale_core::secrets::{CachedSecrets, CachedSecretsConfig, NamedSecret, Secret, SecretSource};
use agentscale_core::{Error, ErrorKind, Result};
use async_trait::async_trait;
use serde::Deserialize;
use tokio::time::timeout;

use super::{OPERATION, Registry, SecretRef, refused};

/// Where secrets come from, and how long they are kept.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SecretsConfig {
    /// How long a secret is kept.
    pub cache: CachedSecretsConfig,
    /// How the Vault is reached that the scheme `vault` names; none.
    #[cfg(feature = "vault")]
    pub vault: Option<VaultSource>,
}

/// A Vault and how it knows this process: by a token or by a role.
#[cfg(feature = "vault")]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct VaultSource {
    /// How it is reached.
    #[serde(default)]
    pub server: crate::vault::VaultConfig,
    /// How it knows this process.
    pub auth: VaultAuthConfig,
}

/// How a Vault knows this process. Its secrets stand elsewhere than in a Vault.
#[cfg(feature = "vault")]
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum VaultAuthConfig {
    /// By a token.
    Token(SecretRef),
    /// By a role of the auth method AppRole.
    AppRole {
        /// Where the method is mounted; `approle`.
        #[serde(default = "app_role")]
        mount: String,
        /// The role's id.
        role_id: SecretRef,
        /// The role's secret id.
        secret_id: SecretRef,
    },
}

#[cfg(feature = "vault")]
fn app_role() -> String {
    "approle".to_owned()
}

/// Each scheme's secrets, by `scheme:name`.
#[derive(Clone, Debug)]
struct Schemes(Arc<BTreeMap<String, Arc<dyn SecretSource>>>);

impl SecretsConfig {
    /// The secrets of all schemes, kept.
    pub(super) fn source(&self, registry: &Registry, metrics: &Metrics) -> Result<CachedSecrets> {
        #[cfg_attr(not(feature = "vault"), expect(unused_mut, reason = "only a vault is added"))]
        let mut schemes = registry.schemes();
        #[cfg(feature = "vault")]
        if let Some(vault) = &self.vault {
            let source = vault.source(&Schemes(Arc::new(schemes.clone())))?;
            schemes.insert("vault".to_owned(), Arc::new(source));
        }
        CachedSecrets::recording(Schemes(Arc::new(schemes)), &self.cache, metrics)
            .map_err(|error| error.with_context("section", "secrets.cache"))
    }
}

#[cfg(feature = "vault")]
impl VaultSource {
    fn source(&self, others: &Schemes) -> Result<crate::VaultSecrets> {
        use crate::vault::{VaultAuth, VaultSecrets};

        let named =
            |field: &str, secret: &SecretRef| others.named(format!("secrets.vault.auth.{field}"), secret);
        let auth = match &self.auth {
            VaultAuthConfig::Token(token) => VaultAuth::Token(named("token", token)?),
            VaultAuthConfig::AppRole { mount, role_id, secret_id } => VaultAuth::AppRole {
                mount: mount.clone(),
                role_id: named("app_role.role_id", role_id)?,
                secret_id: named("app_role.secret_id", secret_id)?,
            },
        };
        VaultSecrets::new(&self.server, auth).map_err(|error| error.with_context("section", "secrets.vault"))
    }
}

impl Schemes {
    #[cfg(feature = "vault")]
    fn named(&self, field: String, secret: &SecretRef) -> Result<NamedSecret> {
        match self.0.contains_key(secret.scheme()) {
            true => Ok(NamedSecret::new(self.clone(), secret.text())),
            false => Err(refused(field, "no such source of secrets")),
        }
    }

    fn find(&self, name: &str) -> Result<(&Arc<dyn SecretSource>, String)> {
        let secret = SecretRef::parse(name);
        let source = secret.as_ref().and_then(|secret| self.0.get(secret.scheme()));
        match (source, &secret) {
            (Some(source), Some(secret)) => Ok((source, secret.name().to_owned())),
            _ => Err(Error::new(ErrorKind::InvalidInput, OPERATION)
                .with_context("reason", "no such source of secrets")),
        }
    }
}

#[async_trait]
impl SecretSource for Schemes {
    async fn secret(&self, name: &str) -> Result<Secret> {
        let (source, name) = self.find(name)?;
        source.secret(&name).await
    }

    fn rejected(&self, name: &str, secret: &Secret) {
        if let Ok((source, name)) = self.find(name) {
            source.rejected(&name, secret);
        }
    }
}

/// Whether each named secret is there; what is only unreachable now may come, and so may what was not read in time: a
/// thousand keys of a source that hangs are not to hold up the others.
pub(super) async fn check(secrets: Vec<(String, NamedSecret)>) -> Result<()> {
    use futures::{StreamExt, TryStreamExt};

    /// How many are read at a time.
    const AT_A_TIME: usize = 16;
    /// How long they may take together.
    const AT_MOST: Duration = Duration::from_secs(15);

    let reads = secrets.into_iter().map(|(field, secret)| async move {
        match secret.read().await {
            Err(error) if error.retry() == agentscale_core::Retry::Never => {
                Err(refused(field, format!("its secret cannot be read: {}", error.kind())).with_source(error))
            }
            Ok(_) | Err(_) => Ok(()),
        }
    });
    let read = futures::stream::iter(reads).buffer_unordered(AT_A_TIME).try_collect();
    timeout(AT_MOST, read).await.unwrap_or(Ok(()))
}
