use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use agentscale_core::llm::RateLimits;
use agentscale_core::secrets::{NamedSecret, Secret};
use agentscale_core::{Error, ErrorKind, Result};
use bytes::BytesMut;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{RequestBuilder, Response, Url, redirect};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{ConnectionConfig, limits};
use crate::headers::{RetryHint, parse_http_date};
use crate::refusal::{NOT_CONNECTED, is_code};

/// What is kept of the body of an error.
const MAX_ERROR_BYTES: usize = 64 << 10;

/// When a key that could not be read may be there.
const NO_KEY_FOR: Duration = Duration::from_secs(1);

/// What a client has to know of its provider's API.
pub(crate) struct Api {
    /// What errors say was attempted, as `call openai`.
    pub(crate) operation: &'static str,
    /// What the body of a refusal says, by its status and the time that it was written.
    pub(crate) error: fn(u16, &[u8], SystemTime) -> Error,
    /// What the headers of an answer say of limits, by the time that they were written.
    pub(crate) rate_limits: fn(&HeaderMap, SystemTime) -> RateLimits,
    /// The header that names a request for the provider's support.
    pub(crate) request_id: &'static str,
    /// The header that carries the key, and what stands before the key there.
    pub(crate) key: (HeaderName, &'static str),
}

/// The HTTP half: one pool of connections, one server.
#[derive(Clone)]
pub(crate) struct Client {
    http: reqwest::Client,
    base: Url,
    headers: HeaderMap,
    /// Where the key comes from that is none of `headers`.
    key: Option<NamedSecret>,
    max_response_bytes: usize,
    api: &'static Api,
}

impl Client {
    /// A client for the server at `base_url`; `headers` go with each request, and `key` where there is one.
    pub(crate) fn new(
        api: &'static Api,
        base_url: &str,
        mut headers: HeaderMap,
        key: Option<&Secret>,
        config: &ConnectionConfig,
    ) -> Result<Self> {
        config.check()?;
        if let Some(key) = key {
            headers.insert(&api.key.0, key_header(api, key)?);
        }
        let base = parse_base(api, base_url)?;
        let builder = reqwest::Client::builder()
            .tls_backend_preconfigured(tls(base.scheme() == "https")?)
            .connect_timeout(Duration::from_millis(config.connect_timeout_ms))
            .timeout(Duration::from_millis(config.timeout_ms))
            .pool_idle_timeout(Duration::from_millis(config.idle_connection_ms))
            .pool_max_idle_per_host(config.max_idle_connections)
            .tcp_nodelay(true)
            // Following one would carry the key to another place.
            .redirect(redirect::Policy::none());
        let prior_knowledge = config.http2_without_tls && base.scheme() == "http";
        let builder = if prior_knowledge { builder.http2_prior_knowledge() } else { builder };
        let http = builder.build().map_err(|error| from_network(api, error))?;
        Ok(Self { http, base, headers, key: None, max_response_bytes: config.max_response_bytes, api })
    }

    /// Asks `key` for the key of each request. One that the server does not know is asked for once more, and the request
    /// sent again where there is another by then.
    #[must_use]
    pub(crate) fn with_key(mut self, key: NamedSecret) -> Self {
        self.headers.remove(&self.api.key.0);
        self.key = Some(key);
        self
    }

    /// Posts `body`; the answer has a status of success, and its body is still to be read.
    pub(crate) async fn post(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<Response> {
        self.send(self.http.post(self.url(path)).json(body)).await
    }

    /// Asks for what stands at `path`.
    #[cfg(feature = "gemini")]
    pub(crate) async fn get(&self, path: &str) -> Result<Response> {
        self.send(self.http.get(self.url(path))).await
    }

    /// Deletes what stands at `path`.
    #[cfg(feature = "gemini")]
    pub(crate) async fn delete(&self, path: &str) -> Result<()> {
        self.send(self.http.delete(self.url(path))).await.map(drop)
    }

    /// Asks for what stands at `path`, with this key and whatever the answer is but once.
    #[cfg(feature = "vault")]
    pub(crate) async fn get_as(&self, key: &Secret, path: &str) -> Result<Response> {
        let request = self.http.get(self.url(path)).headers(self.headers.clone());
        self.send_once(self.with_secret(request, key)?).await
    }

    /// Posts `body` likewise.
    #[cfg(feature = "vault")]
    pub(crate) async fn post_as(&self, key: &Secret, path: &str, body: &impl Serialize) -> Result<Response> {
        let request = self.http.post(self.url(path)).json(body).headers(self.headers.clone());
        self.send_once(self.with_secret(request, key)?).await
    }

    /// The body of an answer.
    pub(crate) async fn body(&self, response: Response) -> Result<BytesMut> {
        self.read(response, self.max_response_bytes).await
    }

    /// What the headers of an answer say of limits.
    pub(crate) fn rate_limits(&self, response: &Response) -> RateLimits {
        (self.api.rate_limits)(response.headers(), written_at(response.headers()))
    }

    /// The network's own trouble.
    pub(crate) fn network_error(&self, error: reqwest::Error) -> Error {
        from_network(self.api, error)
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response> {
        let request = request.headers(self.headers.clone());
        let Some(key) = &self.key else { return self.send_once(request).await };
        let (again, secret) =
            (request.try_clone(), key.read().await.map_err(|error| no_key(self.api, error))?);
        let refused = match self.send_once(self.with_secret(request, &secret)?).await {
            Err(error) if error.kind() == ErrorKind::Unauthenticated => error,
            sent => return sent,
        };
        // What the source says now matters less than the server's refusal.
        match (again, key.read_instead_of(&secret).await) {
            (Some(again), Ok(Some(other))) => self.send_once(self.with_secret(again, &other)?).await,
            _ => Err(refused),
        }
    }

    fn with_secret(&self, request: RequestBuilder, secret: &Secret) -> Result<RequestBuilder> {
        Ok(request.header(&self.api.key.0, key_header(self.api, secret)?))
    }

    async fn send_once(&self, request: RequestBuilder) -> Result<Response> {
        let response = request.send().await.map_err(|error| self.network_error(error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        // An unreadable body leaves the status, which decides the kind alone.
        let body = self.read(response, MAX_ERROR_BYTES).await.unwrap_or_default();
        Err(refusal(self.api, status, &headers, &body))
    }

    fn url(&self, path: &str) -> Url {
        let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
        let mut url = self.base.clone();
        url.set_path(&format!("{}{path}", self.base.path().trim_end_matches('/')));
        match (self.base.query(), query) {
            (Some(base), Some(query)) => url.set_query(Some(&format!("{base}&{query}"))),
            (base, query) => url.set_query(query.or(base)),
        }
        url
    }

    async fn read(&self, mut response: Response, limit: usize) -> Result<BytesMut> {
        let mut body = BytesMut::new();
        while let Some(part) = response.chunk().await.map_err(|error| self.network_error(error))? {
            if body.len() + part.len() > limit {
                let error = Error::new(ErrorKind::TooLarge, self.api.operation);
                return Err(error.with_context("limit_bytes", limit));
            }
            body.extend_from_slice(&part);
        }
        Ok(body)
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("host", &self.base.host_str()).finish_non_exhaustive()
    }
}

/// Whether a response is one JSON text: some servers answer a request for a stream so.
pub(super) fn is_json(response: &Response) -> bool {
    let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    kind.is_some_and(|kind| kind.trim_start().starts_with("application/json"))
}

fn refusal(api: &Api, status: u16, headers: &HeaderMap, body: &[u8]) -> Error {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let mut error = (api.error)(status, body, written_at(headers));
    if let Some(id) = header(api.request_id).filter(|id| is_code(id)) {
        error = error.with_context("request_id", id);
    }
    let told = (api.rate_limits)(headers, written_at(headers));
    let limits = RateLimits::of(&error).map_or_else(|| told.clone(), |hit| limits::joined(hit, &told));
    if !limits.is_empty() {
        error = error.with_source(limits);
    }
    limits::until_reset(RetryHint::read(header, written_at(headers)).apply(error))
}

/// The server's own date keeps a skewed clock out of the waits.
fn written_at(headers: &HeaderMap) -> SystemTime {
    let date = headers.get("date").and_then(|value| value.to_str().ok()).and_then(parse_http_date);
    date.unwrap_or_else(SystemTime::now)
}

fn from_network(api: &Api, error: reqwest::Error) -> Error {
    // A connection that was not made in time says nothing about the deadline of the call.
    let kind = match error.is_timeout() && !error.is_connect() {
        true => ErrorKind::DeadlineExceeded,
        false if error.is_builder() => ErrorKind::InvalidInput,
        false => ErrorKind::Unavailable,
    };
    let not_sent = error.is_connect();
    let error = Error::new(kind, api.operation).with_source(error.without_url());
    if not_sent { error.with_context("reason", NOT_CONNECTED) } else { error }
}

fn parse_base(api: &Api, text: &str) -> Result<Url> {
    let parsed =
        Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    parsed.ok_or_else(|| refused_field(api, "base_url"))
}

/// An address without what it may hold of secrets: a name, a password, a query.
pub(crate) fn shown_url(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return "no address".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{}{port}{}", url.scheme(), url.host_str().unwrap_or_default(), url.path())
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

/// There is no key to be had now: another may do.
fn no_key(api: &Api, source: Error) -> Error {
    Error::new(ErrorKind::Unauthenticated, api.operation)
        .with_context("reason", "no key can be read")
        .with_retry_after(NO_KEY_FOR)
        .with_source(source)
}

fn key_header(api: &Api, key: &Secret) -> Result<HeaderValue> {
    let text = Zeroizing::new([api.key.1, key.expose()].concat());
    let mut value = header_value(api, "api_key", &text)?;
    value.set_sensitive(true);
    Ok(value)
}

/// A value that can stand in a header; `field` names where it was configured.
pub(crate) fn header_value(api: &Api, field: &'static str, value: &str) -> Result<HeaderValue> {
    HeaderValue::from_str(value).map_err(|_| refused_field(api, field))
}

/// The value is left out: it may be a key, or an address that holds one.
fn refused_field(api: &Api, field: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, api.operation).with_context("field", field)
}
