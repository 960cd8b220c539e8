//! One request, from its head to its body.

mod complete;
mod deliver;
mod embed;
mod reply;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper::{HeaderMap, Method, Request, Response};
use serde_json::json;

use crate::answer::Usage;
use crate::body::{Body, Dropped};
use crate::dialect::{self, Dialect};
use crate::faults::Subject;
use crate::limits::Account;
use crate::refusal::Refusal;
use crate::route::{Route, route};
use crate::script::{NamedError, Then};
use crate::simulator::Simulator;
use crate::stats::{Booking, Ending};
use reply::Reply;

/// The longest request, 64 MiB.
const MOST_BYTES: usize = 64 << 20;

/// # Errors
/// Where the script wants the connection dropped.
pub(crate) async fn handle(
    simulator: Arc<Simulator>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Dropped> {
    let wanted = route(request.method(), request.uri(), request.headers());
    match wanted {
        Route::Stats => return Ok(reply::json(simulator.stats.json())),
        Route::Reset => {
            simulator.reset();
            return Ok(reply::json(b"{}".to_vec()));
        }
        _ => {}
    }
    let number = simulator.next();
    simulator.stats.came();
    let dialect = match &wanted {
        Route::Complete(wire) | Route::CountTokens(wire) => wire.dialect(),
        Route::Embed(dialect, _) | Route::Models(dialect) | Route::Unknown(dialect) => *dialect,
        Route::CachedContents(_) => Dialect::Gemini,
        Route::Stats | Route::Reset => Dialect::Openai,
    };
    let call = Call { simulator: Arc::clone(&simulator), dialect, number };
    let reply = match call.answer(wanted, request).await {
        Ok(reply) => reply,
        Err(Trouble::Refused(refusal)) => Reply::refused(*refusal),
        Err(Trouble::Page(status)) => Reply::page(status),
        Err(Trouble::Disconnected) => return Err(Dropped),
    };
    simulator.stats.answered(reply.status);
    Ok(reply.into_response(dialect, number))
}

/// Why there is no answer of a model.
pub(crate) enum Trouble {
    Refused(Box<Refusal>),
    /// HTML, as a proxy sends it.
    Page(u16),
    Disconnected,
}

impl From<Refusal> for Trouble {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}

/// A request on its way.
struct Call {
    simulator: Arc<Simulator>,
    dialect: Dialect,
    number: u64,
}

impl Call {
    async fn answer(&self, wanted: Route, request: Request<Incoming>) -> Result<Reply, Trouble> {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        if let Route::Unknown(dialect) = wanted {
            return Err(dialect::unknown_path(dialect, head.method.as_str(), &path).into());
        }
        let key = self.key(&head.headers, head.uri.query())?;
        let body = match Limited::new(body, MOST_BYTES).collect().await {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                return Err(dialect::of_status(self.dialect, 413).into());
            }
            // The client is gone.
            Err(_) => return Err(Trouble::Disconnected),
        };
        match wanted {
            Route::Complete(wire) => {
                wire.check_headers(&head.headers)?;
                self.complete(wire.as_ref(), &key, &body).await
            }
            Route::CountTokens(wire) => {
                wire.check_headers(&head.headers)?;
                let tokens = wire.read(&body)?.input_tokens();
                Ok(Reply::json(&json!({"input_tokens": tokens})))
            }
            Route::Embed(_, embeddings) => self.embed(embeddings.as_ref(), &key, &body).await,
            Route::CachedContents(name) => self.cached_contents(&key, &head.method, name.as_deref(), &body),
            Route::Models(dialect) => {
                Ok(Reply::json(&dialect::models(dialect, &self.simulator.script.models)))
            }
            Route::Stats | Route::Reset | Route::Unknown(_) => {
                Err(dialect::unknown_path(self.dialect, head.method.as_str(), &path).into())
            }
        }
    }

    /// The key of the request, which may be empty where none are scripted.
    fn key(&self, headers: &HeaderMap, query: Option<&str>) -> Result<String, Refusal> {
        let key = dialect::key(self.dialect, headers, query).unwrap_or_default();
        if self.simulator.knows_key(&key) || self.dialect == Dialect::Ollama {
            return Ok(key);
        }
        Err(match key.is_empty() {
            true => dialect::no_key(self.dialect),
            false => dialect::named(self.dialect, NamedError::InvalidKey),
        })
    }

    fn cached_contents(
        &self,
        key: &str,
        method: &Method,
        name: Option<&str>,
        body: &Bytes,
    ) -> Result<Reply, Trouble> {
        let (all, now) = (&self.simulator.resources, self.simulator.clock.now());
        let owner = self.simulator.account(self.dialect, key, "").organization;
        let shown = match (method.as_str(), name) {
            ("POST", None) => all.create(&owner, body, self.simulator.script.cache.min_tokens, now)?,
            ("GET", None) => all.list(&owner, now),
            ("GET", Some(name)) => all.update(&owner, name, &[], now)?,
            ("PATCH", Some(name)) => all.update(&owner, name, body, now)?,
            ("DELETE", Some(name)) => all.delete(&owner, name, now)?,
            _ => return Err(dialect::unknown_path(self.dialect, method.as_str(), "cachedContents").into()),
        };
        Ok(Reply::json(&shown))
    }

    fn fault(&self, key: &str, model: &str, stream: bool) -> Option<&Then> {
        let subject = Subject { dialect: self.dialect, model, key, stream };
        let fault = self.simulator.faults.choose(subject);
        if fault.is_some() {
            self.simulator.stats.faulted();
        }
        fault
    }

    /// Faults that leave no answer.
    async fn befall(&self, fault: Option<&Then>) -> Result<(), Trouble> {
        match fault {
            Some(Then::Status { code, retry_after_ms }) => {
                let refusal = dialect::of_status(self.dialect, *code);
                Err(match retry_after_ms {
                    Some(millis) => refusal.with_retry_after(self.dialect, Duration::from_millis(*millis)),
                    None => refusal,
                }
                .into())
            }
            Some(Then::Error(error)) => Err(dialect::named(self.dialect, *error).into()),
            Some(Then::Html { status }) => Err(Trouble::Page(*status)),
            Some(Then::Disconnect) => Err(Trouble::Disconnected),
            Some(Then::NeverAnswers) => std::future::pending().await,
            _ => Ok(()),
        }
    }

    fn booking(&self, account: Account, key: &str, usage: Usage) -> Booking {
        Booking {
            simulator: Arc::clone(&self.simulator),
            account,
            key: if key.is_empty() { "none".to_owned() } else { key.to_owned() },
            usage,
            sent: 0,
            ending: Ending::Left,
            billed: false,
            slot: None,
        }
    }
}
