//! A message as a CloudEvents 1.0 event in JSON, with the attributes that CloudEvents does not name as extensions.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{
    Address, AgentMessage, Body, CallChain, ContentType, Deadline, Destination, MessageId, MessageKind,
    Priority, TraceContext,
};
use crate::{Account, Error, ErrorKind, IdempotencyKey, Json, Result, Stamp, Tenant};

const SPEC_VERSION: &str = "1.0";

#[derive(Serialize, Deserialize)]
struct Event {
    specversion: String,
    id: MessageId,
    /// The sender: its address as a relative URI, or `/host`.
    source: String,
    #[serde(rename = "type")]
    kind: MessageKind,
    datacontenttype: ContentType,
    tenant: Tenant,
    to: Destination,
    stamp: Stamp,
    priority: Priority,
    schemaversion: u16,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    account: Option<Account>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    from: Option<Address>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<MessageId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    deadline: Option<Deadline>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idempotencykey: Option<IdempotencyKey>,
    #[serde(default, skip_serializing_if = "is_empty")]
    chain: CallChain,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    traceparent: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    tracestate: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

pub(super) fn encode(message: &AgentMessage) -> Result<Bytes> {
    let (content_type, bytes) = message.body.encode()?;
    let text = (content_type == ContentType::JSON).then(|| std::str::from_utf8(&bytes).ok()).flatten();
    let data = text.map(Json::parse).transpose()?;
    let event = Event {
        specversion: SPEC_VERSION.to_owned(),
        id: message.id,
        source: message
            .from
            .as_ref()
            .map_or_else(|| "/host".to_owned(), |from| format!("/{}/{}", from.agent_type, from.key)),
        kind: message.kind,
        datacontenttype: content_type,
        tenant: message.tenant.clone(),
        to: message.to.clone(),
        stamp: message.stamp,
        priority: message.priority,
        schemaversion: message.schema_version,
        account: message.account.clone(),
        from: message.from.clone(),
        correlation: message.correlation,
        deadline: message.deadline,
        idempotencykey: message.idempotency_key.clone(),
        chain: message.chain.clone(),
        traceparent: message.trace.as_ref().map(|trace| trace.traceparent.clone()),
        tracestate: message.trace.as_ref().map(|trace| trace.tracestate.clone()).unwrap_or_default(),
        data_base64: data.is_none().then(|| STANDARD.encode(&bytes)),
        data,
    };
    serde_json::to_vec(&event)
        .map(Bytes::from)
        .map_err(|error| Error::new(ErrorKind::InvalidInput, "encode message").with_source(error))
}

pub(super) fn decode(bytes: &[u8]) -> Result<AgentMessage> {
    let corrupt = || Error::new(ErrorKind::Corrupt, "decode message");
    let event: Event = serde_json::from_slice(bytes).map_err(|error| corrupt().with_source(error))?;
    if event.specversion != SPEC_VERSION {
        return Err(Error::new(ErrorKind::Unsupported, "decode message")
            .with_context("specversion", event.specversion));
    }
    let data = match (event.data, event.data_base64) {
        (Some(json), None) => Bytes::from(json.as_str().to_owned()),
        (None, Some(text)) => {
            STANDARD.decode(text).map(Bytes::from).map_err(|error| corrupt().with_source(error))?
        }
        _ => return Err(corrupt().with_context("reason", "no data or twice")),
    };
    let body = Body::encoded(event.datacontenttype, data);
    let mut message = AgentMessage::new(event.kind, event.tenant, event.to, body, event.stamp);
    message.id = event.id;
    message.account = event.account;
    message.from = event.from;
    message.correlation = event.correlation;
    message.priority = event.priority;
    message.deadline = event.deadline;
    message.idempotency_key = event.idempotencykey;
    message.chain = event.chain;
    message.trace = event
        .traceparent
        .map(|traceparent| Box::new(TraceContext { traceparent, tracestate: event.tracestate }));
    message.schema_version = event.schemaversion;
    Ok(message)
}

fn is_empty(chain: &CallChain) -> bool {
    chain.depth() == 0
}
