use std::sync::Arc;
use std::time::Duration;

use agentscale_core::{Error, ErrorKind, Result};
use bytes::BytesMut;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Response, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use secrecy::ExposeSecret;
use serde::Serialize;

use super::{OpenAiConfig, error};

/// What is kept of the body of an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// The HTTP half: one pool of connections, one server.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    max_response_bytes: usize,
}

impl Client {
    pub(super) fn new(config: &OpenAiConfig) -> Result<Self> {
        let base = base_url(&config.base_url)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(base.scheme() == "https")?)
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .timeout(Duration::from_millis(config.timeout_ms))
            .pool_idle_timeout(Duration::from_millis(config.idle_connection_ms))
            .tcp_nodelay(true)
            // Following one would carry the key to another place.
            .redirect(redirect::Policy::none())
            .build()
            .map_err(error::from_network)?;
        Ok(Self { http, base, headers: headers(config)?, max_response_bytes: config.max_response_bytes })
    }

    /// Posts `body`; the answer has a status of success, and its body is still to be read.
    pub(super) async fn post(&self, path: &str, body: &impl Serialize) -> Result<Response> {
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        let request = self.http.post(url).headers(self.headers.clone()).json(body);
        let response = request.send().await.map_err(error::from_network)?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status(), response.headers().clone());
        // An unreadable body leaves the status, which decides the kind alone.
        let body = read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(error::from_response(status, &headers, &body))
    }

    pub(super) async fn body(&self, response: Response) -> Result<BytesMut> {
        read(response, self.max_response_bytes).await
    }
}

async fn read(mut response: Response, limit: usize) -> Result<BytesMut> {
    let mut body = BytesMut::new();
    while let Some(part) = response.chunk().await.map_err(error::from_network)? {
        if body.len() + part.len() > limit {
            return Err(
                Error::new(ErrorKind::TooLarge, "read openai's answer").with_context("limit_bytes", limit)
            );
        }
        body.extend_from_slice(&part);
    }
    Ok(body)
}

fn base_url(text: &str) -> Result<Url> {
    let parsed =
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    parsed.ok_or_else(|| refused("base_url"))
}

/// Built for this client alone: a provider of cryptography installed for the process would be the host's to choose.
/// Without `https` no root is loaded, so that a machine without certificates can talk to a server of its own.
fn tls(https: bool) -> Result<ClientConfig> {
    let failed = |source| Error::new(ErrorKind::Unavailable, "set up tls").with_source(source);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(failed)?;
    let builder = match https {
        true => builder.with_platform_verifier().map_err(failed)?,
        false => builder.with_root_certificates(RootCertStore::empty()),
    };
    let mut config = builder.with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn headers(config: &OpenAiConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    if let Some(key) = &config.api_key {
        let mut value = header("api_key", &format!("Bearer {}", key.expose_secret()))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    if let Some(organization) = &config.organization {
        headers.insert(HeaderName::from_static("openai-organization"), header("organization", organization)?);
    }
    if let Some(project) = &config.project {
        headers.insert(HeaderName::from_static("openai-project"), header("project", project)?);
    }
    Ok(headers)
}

fn header(field: &'static str, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| refused(field))
}

/// The value is left out: it may be a key, or an address that holds one.
fn refused(field: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, "configure the openai provider").with_context("field", field)
}
