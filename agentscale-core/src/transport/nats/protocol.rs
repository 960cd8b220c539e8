//! What askers tell the members of a pool about their requests.

use async_nats::HeaderMap;
use uuid::Uuid;

use crate::message::MessageId;

const CANCEL: &str = "as-cancel";
const WHO_HAS: &str = "as-who-has";
const HELD: &str = "as-held";

/// Told to every member of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// Nobody waits for the reply any more.
    Cancel(MessageId),
    /// The connection was lost: who has the request or its answer says so.
    WhoHas(MessageId),
}

pub(super) fn write(signal: Signal) -> HeaderMap {
    let (name, id) = match signal {
        Signal::Cancel(id) => (CANCEL, id),
        Signal::WhoHas(id) => (WHO_HAS, id),
    };
    let mut headers = HeaderMap::new();
    headers.insert(name, id.to_string());
    headers
}

pub(super) fn read(headers: &HeaderMap) -> Option<Signal> {
    let id = |name: &str| Some(MessageId::from(Uuid::parse_str(headers.get(name)?.as_str()).ok()?));
    id(CANCEL).map(Signal::Cancel).or_else(|| id(WHO_HAS).map(Signal::WhoHas))
}

/// A member has the request and will answer.
pub(super) fn held() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(HELD, "1");
    headers
}

pub(super) fn is_held(headers: &HeaderMap) -> bool {
    headers.get(HELD).is_some()
}
