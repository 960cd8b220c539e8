use std::collections::HashMap;

use agentscale_core::secrets::Secret;
use agentscale_core::{Error, ErrorKind, Result};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::error::corrupt;

/// The login of a role.
#[derive(Serialize)]
pub(super) struct Login<'a> {
    pub(super) role_id: &'a str,
    pub(super) secret_id: &'a str,
}

/// What a login and a renewal give.
#[derive(Deserialize)]
pub(super) struct Granted {
    pub(super) client_token: Secret,
    /// In seconds; 0 for one that does not end.
    #[serde(default)]
    pub(super) lease_duration: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

/// What a token tells of itself.
#[derive(Deserialize)]
pub(super) struct Looked {
    /// In seconds; 0 for one that does not end.
    #[serde(default)]
    pub(super) ttl: u64,
    #[serde(default)]
    pub(super) renewable: bool,
}

#[derive(Deserialize)]
struct WithAuth {
    auth: Granted,
}

#[derive(Deserialize)]
struct WithData<T> {
    data: T,
}

#[derive(Deserialize)]
struct Version {
    data: HashMap<String, Field>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Field {
    Text(Secret),
    Other(IgnoredAny),
}

pub(super) fn granted(body: &[u8]) -> Result<Granted> {
    let WithAuth { auth } = serde_json::from_slice(body).map_err(|_| corrupt("no json of a login"))?;
    match auth.client_token.expose() {
        "" => Err(corrupt("an empty token")),
        _ => Ok(auth),
    }
}

pub(super) fn looked(body: &[u8]) -> Result<Looked> {
    let WithData { data } = serde_json::from_slice(body).map_err(|_| corrupt("no json of a token"))?;
    Ok(data)
}

/// One field of a secret.
pub(super) fn field(body: &[u8], field: &str) -> Result<Secret> {
    let read: WithData<Version> =
        serde_json::from_slice(body).map_err(|_| corrupt("no json of a secret of the engine's version 2"))?;
    match read.data.data.into_iter().find(|(name, _)| name == field) {
        Some((_, Field::Text(secret))) if !secret.expose().is_empty() => Ok(secret),
        Some((_, Field::Other(_))) => Err(corrupt("the field is no text")),
        _ => {
            Err(Error::new(ErrorKind::NotFound, "read vault's answer")
                .with_context("reason", "no such field"))
        }
    }
}
