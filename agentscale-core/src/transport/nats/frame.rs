//! A message as a CloudEvents 1.0 event in binary mode: its attributes are headers `ce-…`, its body is the payload.
//!
//! Attributes that are made of several names join them by `:` and `,`, which are percent-encoded in the names, as are
//! all characters that the CloudEvents bindings encode. No header can hold a line break, whatever a name holds.

use std::borrow::Cow;
use std::str::FromStr;

use async_nats::HeaderMap;
use bytes::Bytes;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use uuid::Uuid;

use super::protocol;
use crate::message::{
    Address, Body, CallChain, ContentType, Deadline, Destination, MessageId, MessageKind, TraceContext,
};
use crate::{AgentMessage, Error, ErrorKind, Priority, Result, Stamp, WireError};

const SPEC_VERSION: &str = "1.0";
/// The error that ends a request, and the cause of a dead letter, as JSON.
const ERROR: &str = "as-error";
/// Says that a delivery was taken.
const TAKEN: &str = "as-taken";

const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%').add(b':').add(b',');

/// What comes back to who sent a message.
#[derive(Debug)]
pub(super) enum Answer {
    /// The reply, or why there is none.
    Reply(Box<Result<AgentMessage>>),
    /// An inbox has taken it, or a stream.
    Taken,
    /// A member has the request and will answer.
    Held,
}

pub(super) fn encode(message: &AgentMessage) -> Result<(HeaderMap, Bytes)> {
    let (content_type, data) = message.raw_body().encode()?;
    let mut headers = HeaderMap::new();
    let mut set = |name: &str, value: Cow<'_, str>| headers.insert(name, value.as_ref());
    set("ce-specversion", SPEC_VERSION.into());
    set("ce-id", message.id.to_string().into());
    set("ce-type", kind(message.kind).into());
    set("ce-source", source(message).into());
    set("content-type", text(content_type.as_str()));
    set("ce-tenant", text(message.tenant.as_str()));
    set("ce-to", destination(&message.to).into());
    let (time, node) = message.stamp.to_parts();
    set("ce-stamp", format!("{time}:{node}").into());
    set("ce-priority", message.priority.rank().to_string().into());
    set("ce-schemaversion", message.schema_version.to_string().into());
    if let Some(account) = &message.account {
        set("ce-account", text(account.as_str()));
    }
    if let Some(from) = &message.from {
        set("ce-from", address(from).into());
    }
    if let Some(correlation) = message.correlation {
        set("ce-correlation", correlation.to_string().into());
    }
    if let Some(deadline) = message.deadline {
        set("ce-deadline", deadline.0.to_string().into());
    }
    if let Some(key) = &message.idempotency_key {
        set("ce-idempotencykey", text(key.as_str()));
    }
    if message.chain.depth() > 0 {
        let agents: Vec<_> = message.chain.oldest_first().into_iter().map(address).collect();
        set("ce-chain", agents.join(",").into());
    }
    if let Some(trace) = &message.trace {
        set("ce-traceparent", text(&trace.traceparent));
        if !trace.tracestate.is_empty() {
            set("ce-tracestate", text(&trace.tracestate));
        }
    }
    Ok((headers, data))
}

/// # Errors
/// `corrupt` for what is no message, `unsupported` for one of another major version of CloudEvents.
pub(super) fn decode(headers: &HeaderMap, data: Bytes) -> Result<AgentMessage> {
    let headers = Headers(headers);
    let version = headers.text("ce-specversion")?;
    if version.split('.').next() != SPEC_VERSION.split('.').next() {
        return Err(Error::new(ErrorKind::Unsupported, "decode message").with_context("specversion", version));
    }
    let kind = match headers.text("ce-type")?.as_ref() {
        "request" => MessageKind::Request,
        "reply" => MessageKind::Reply,
        "event" => MessageKind::Event,
        _ => return Err(corrupt("ce-type")),
    };
    let to = destination_from(headers.raw("ce-to").ok_or_else(|| corrupt("ce-to"))?)?;
    let (time, node) =
        headers.raw("ce-stamp").and_then(|stamp| stamp.split_once(':')).ok_or_else(|| corrupt("ce-stamp"))?;
    let stamp = Stamp::from_parts(number("ce-stamp", time)?, number("ce-stamp", node)?);
    let content_type = ContentType::new(headers.text("content-type")?.into_owned());
    let tenant = headers.name("ce-tenant")?.ok_or_else(|| corrupt("ce-tenant"))?;
    let mut message = AgentMessage::new(kind, tenant, to, Body::encoded(content_type, data), stamp);
    message.id = headers.id("ce-id")?.ok_or_else(|| corrupt("ce-id"))?;
    message.priority = match headers.parsed("ce-priority")? {
        None => Priority::default(),
        Some(rank) => Priority::from_rank(rank).ok_or_else(|| corrupt("ce-priority"))?,
    };
    message.schema_version =
        headers.parsed("ce-schemaversion")?.ok_or_else(|| corrupt("ce-schemaversion"))?;
    message.account = headers.name("ce-account")?;
    message.from = headers.raw("ce-from").map(|from| address_from("ce-from", from)).transpose()?;
    message.correlation = headers.id("ce-correlation")?;
    message.deadline = headers.parsed("ce-deadline")?.map(Deadline);
    message.idempotency_key = headers.name("ce-idempotencykey")?;
    if let Some(chain) = headers.raw("ce-chain") {
        message.chain = chain.split(',').try_fold(CallChain::default(), |chain, agent| {
            Ok::<_, Error>(chain.then(address_from("ce-chain", agent)?))
        })?;
    }
    if headers.raw("ce-traceparent").is_some() {
        let traceparent = headers.text("ce-traceparent")?.into_owned();
        let tracestate = match headers.raw("ce-tracestate") {
            Some(_) => headers.text("ce-tracestate")?.into_owned(),
            None => String::new(),
        };
        message.trace = Some(Box::new(TraceContext { traceparent, tracestate }));
    }
    Ok(message)
}

pub(super) fn taken() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(TAKEN, "1");
    headers
}

/// The headers of an error that ends a request or a sending.
pub(super) fn refusal(error: &Error) -> HeaderMap {
    let mut headers = HeaderMap::new();
    put_error(&mut headers, error);
    headers
}

/// Adds the cause of a dead letter to its headers.
pub(super) fn put_error(headers: &mut HeaderMap, error: &Error) {
    let wire = serde_json::to_string(&error.to_wire()).unwrap_or_default();
    headers.insert(ERROR, text(&wire).as_ref());
}

/// The error in the headers, if there is one.
pub(super) fn error_in(headers: &HeaderMap) -> Option<Error> {
    let headers = Headers(headers);
    headers.raw(ERROR)?;
    let read = || -> Result<Error> {
        let wire: WireError =
            serde_json::from_str(&headers.text(ERROR)?).map_err(|error| corrupt(ERROR).with_source(error))?;
        Ok(wire.into())
    };
    Some(read().unwrap_or_else(|error| error))
}

/// What an answer says: that of a receiver, or of the stream that keeps the subject.
pub(super) fn answer(headers: Option<&HeaderMap>, data: Bytes) -> Result<Answer> {
    let Some(headers) = headers else { return kept(&data) };
    if let Some(error) = error_in(headers) {
        return Ok(Answer::Reply(Box::new(Err(error))));
    }
    if headers.get(TAKEN).is_some() {
        return Ok(Answer::Taken);
    }
    if protocol::is_held(headers) {
        return Ok(Answer::Held);
    }
    decode(headers, data).map(|reply| Answer::Reply(Box::new(Ok(reply))))
}

/// The acknowledgement of a stream.
fn kept(data: &[u8]) -> Result<Answer> {
    #[derive(serde::Deserialize)]
    struct Ack {
        #[serde(default)]
        error: Option<Failure>,
    }
    #[derive(serde::Deserialize)]
    struct Failure {
        #[serde(default)]
        description: String,
    }
    let ack: Ack =
        serde_json::from_slice(data).map_err(|error| corrupt("acknowledgement").with_source(error))?;
    match ack.error {
        None => Ok(Answer::Taken),
        // A stream refuses what is over its bounds, and what it cannot keep for now.
        Some(failure) => Err(Error::new(ErrorKind::Overloaded, "send message")
            .with_context("reason", format!("the stream refused it: {}", failure.description))),
    }
}

struct Headers<'h>(&'h HeaderMap);

impl<'h> Headers<'h> {
    fn raw(&self, name: &str) -> Option<&'h str> {
        self.0.get(name).map(|value| value.as_str())
    }

    fn text(&self, name: &'static str) -> Result<Cow<'h, str>> {
        decoded(name, self.raw(name).ok_or_else(|| corrupt(name))?)
    }

    fn name<T: TryFrom<String, Error = Error>>(&self, name: &'static str) -> Result<Option<T>> {
        let Some(raw) = self.raw(name) else { return Ok(None) };
        T::try_from(decoded(name, raw)?.into_owned())
            .map(Some)
            .map_err(|error| corrupt(name).with_source(error))
    }

    fn id(&self, name: &'static str) -> Result<Option<MessageId>> {
        self.parsed::<Uuid>(name).map(|id| id.map(MessageId::from))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<Option<T>> {
        self.raw(name).map(|raw| raw.parse().map_err(|_| corrupt(name))).transpose()
    }
}

fn text(value: &str) -> Cow<'_, str> {
    utf8_percent_encode(value, ENCODED).into()
}

fn decoded<'t>(name: &'static str, value: &'t str) -> Result<Cow<'t, str>> {
    percent_decode_str(value).decode_utf8().map_err(|error| corrupt(name).with_source(error))
}

fn number(name: &'static str, value: &str) -> Result<u64> {
    value.parse().map_err(|_| corrupt(name))
}

fn kind(kind: MessageKind) -> &'static str {
    match kind {
        MessageKind::Request => "request",
        MessageKind::Reply => "reply",
        MessageKind::Event => "event",
    }
}

/// As a URI reference.
fn source(message: &AgentMessage) -> String {
    message.from.as_ref().map_or_else(
        || "/host".to_owned(),
        |from| format!("/{}/{}", text(from.agent_type.as_str()), text(from.key.as_str())),
    )
}

fn address(address: &Address) -> String {
    format!("{}:{}", text(address.agent_type.as_str()), text(address.key.as_str()))
}

fn address_from(name: &'static str, value: &str) -> Result<Address> {
    let (agent_type, key) = value.split_once(':').ok_or_else(|| corrupt(name))?;
    Address::new(&decoded(name, agent_type)?, &decoded(name, key)?)
        .map_err(|error| corrupt(name).with_source(error))
}

fn destination(to: &Destination) -> String {
    match to {
        Destination::Agent(agent) => format!("agent:{}", address(agent)),
        Destination::Topic(topic) => format!("topic:{}", text(topic.as_str())),
        Destination::Caller => "caller".to_owned(),
    }
}

fn destination_from(value: &str) -> Result<Destination> {
    const NAME: &str = "ce-to";
    match value.split_once(':') {
        Some(("agent", agent)) => address_from(NAME, agent).map(Destination::Agent),
        Some(("topic", topic)) => {
            let topic = decoded(NAME, topic)?.into_owned();
            topic.try_into().map(Destination::Topic).map_err(|error| corrupt(NAME).with_source(error))
        }
        None if value == "caller" => Ok(Destination::Caller),
        _ => Err(corrupt(NAME)),
    }
}

fn corrupt(header: &'static str) -> Error {
    Error::new(ErrorKind::Corrupt, "decode message").with_context("header", header)
}
