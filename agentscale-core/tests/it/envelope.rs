//! The envelope survives its encoding, and bytes that are no message are refused.

use std::time::Duration;

use agentscale_core::{
    Account, Address, AgentMessage, Body, ContentType, Deadline, Destination, ErrorKind, IdempotencyKey,
    MessageKind, Priority, Stamp, Tenant, Topic, TraceContext,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Question {
    text: String,
    numbers: Vec<i64>,
    again: Option<Box<Question>>,
}

fn name() -> impl Strategy<Value = String> {
    "[^\\p{Cc}]{1,40}"
}

fn question() -> impl Strategy<Value = Question> {
    let leaf = (".*", any::<Vec<i64>>()).prop_map(|(text, numbers)| Question { text, numbers, again: None });
    leaf.prop_recursive(3, 4, 1, |inner| {
        (".*", inner).prop_map(|(text, again)| Question {
            text,
            numbers: vec![],
            again: Some(Box::new(again)),
        })
    })
}

fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        question().prop_map(Body::new),
        any::<Vec<u8>>()
            .prop_map(|bytes| Body::encoded(ContentType::new("application/octet-stream"), bytes.into())),
    ]
}

fn address() -> impl Strategy<Value = Address> {
    (name(), name()).prop_map(|(agent_type, key)| Address::new(&agent_type, &key).expect("valid names"))
}

fn destination() -> impl Strategy<Value = Destination> {
    prop_oneof![
        address().prop_map(Destination::Agent),
        name().prop_map(|topic| Destination::Topic(Topic::new(topic).expect("valid topic"))),
        Just(Destination::Caller),
    ]
}

prop_compose! {
    fn message()(
        kind in prop_oneof![Just(MessageKind::Request), Just(MessageKind::Reply), Just(MessageKind::Event)],
        tenant in name(),
        to in destination(),
        body in body(),
        (time, node) in any::<(u64, u64)>(),
        from in proptest::option::of(address()),
        account in proptest::option::of(name()),
        key in proptest::option::of(name()),
        deadline in any::<Option<u64>>(),
        chain in proptest::collection::vec(address(), 0..4),
        traced in any::<bool>(),
        (schema_version, urgent) in any::<(u16, bool)>(),
    ) -> AgentMessage {
        let tenant = Tenant::new(tenant).expect("valid tenant");
        let mut message = AgentMessage::new(kind, tenant, to, body, Stamp::from_parts(time, node));
        message.from = from;
        message.account = account.map(|account| Account::new(account).expect("valid account"));
        message.idempotency_key = key.map(|key| IdempotencyKey::new(key).expect("valid key"));
        message.deadline = deadline.map(Deadline);
        message.chain = chain.into_iter().fold(message.chain.clone(), |chain, agent| chain.then(agent));
        let header = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        message.trace = traced.then(|| Box::new(TraceContext::parse(header).expect("valid header")));
        message.schema_version = schema_version;
        message.priority = if urgent { Priority::Incident } else { Priority::Evaluation };
        message.correlation = urgent.then_some(message.id);
        message
    }
}

proptest! {
    #[test]
    fn decoding_an_encoded_message_gives_the_message(message in message()) {
        let decoded = AgentMessage::decode(&message.encode().unwrap()).unwrap();
        prop_assert_eq!(decoded, message);
    }

    #[test]
    fn no_bytes_break_the_decoder(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(AgentMessage::decode(&bytes).map_err(|error| error.kind()), Err(ErrorKind::Corrupt));
    }
}

#[test]
fn a_body_is_shared_within_a_process_and_decoded_into_another_type_through_its_encoding() {
    #[derive(Deserialize)]
    struct OnlyText {
        text: String,
    }

    let question = Question { text: "why?".into(), numbers: vec![1], again: None };
    let body = Body::new(question.clone());
    let (one, two) = (body.get::<Question>().unwrap(), body.get::<Question>().unwrap());
    assert!(std::sync::Arc::ptr_eq(&one, &two));
    assert_eq!(body.get::<OnlyText>().unwrap().text, question.text);
    assert_eq!(body.get::<Vec<u8>>().unwrap_err().kind(), ErrorKind::InvalidInput);
}

#[test]
fn a_deadline_in_the_past_leaves_no_time() {
    let tenant = Tenant::new("acme").unwrap();
    let message = AgentMessage::event(tenant, Destination::Caller, (), Stamp::default());
    assert_eq!(message.time_left(9, Duration::from_secs(30)).unwrap(), Duration::from_secs(30));
    let message = message.with_deadline(Deadline::after(1_000_000, Duration::from_secs(1)));
    assert_eq!(message.time_left(1_500_000, Duration::MAX).unwrap(), Duration::from_millis(500));
    assert_eq!(message.time_left(2_000_000, Duration::MAX).unwrap_err().kind(), ErrorKind::DeadlineExceeded);
}

#[test]
fn a_call_chain_knows_who_waits_in_it() {
    let [a, b, c] = ["a", "b", "c"].map(|key| Address::new("researcher", key).unwrap());
    let tenant = Tenant::new("acme").unwrap();
    let message = AgentMessage::event(tenant, Destination::Caller, (), Stamp::default());
    let chain = message.chain.then(a.clone()).then(b.clone());
    assert_eq!(chain.depth(), 2);
    assert!(chain.contains(&a) && chain.contains(&b) && !chain.contains(&c));
}
