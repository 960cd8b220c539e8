//! What a subscriber is told of calls.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex, Once};

use agentscale_core::llm::{EmbeddingRequest, LlmProvider};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind};
use agentscale_llm::gateway::{GatewayModel, KeyPool, ProviderKey};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::scene::{answering, ask, builder, calls, failing, tiers};

/// Keeps the spans of this crate that begin on the thread that listens.
#[derive(Clone, Debug, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

thread_local! {
    static LISTENING: RefCell<Option<Spans>> = const { RefCell::new(None) };
}

/// The subscriber of the whole process. `tracing` keeps what a place in the code is worth to all subscribers, and asks only
/// that of the thread which comes there first while there is but one: with one for each thread, a test that listens to
/// nothing could silence a place for those that do.
#[derive(Debug)]
struct OfEachThread;

/// Stands for spans that nobody keeps.
const UNKEPT: u64 = u64::MAX;

fn with_listening<T>(then: impl FnOnce(&Spans) -> T) -> Option<T> {
    LISTENING.with_borrow(|spans| spans.as_ref().map(then))
}

#[derive(Clone, Debug)]
struct Span {
    name: &'static str,
    parent: Option<u64>,
    fields: BTreeMap<&'static str, String>,
    closed: bool,
}

impl Visit for Span {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

impl Subscriber for OfEachThread {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span() && metadata.target().starts_with("agentscale_llm")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        Id::from_u64(with_listening(|spans| spans.begin(attributes)).unwrap_or(UNKEPT))
    }

    fn record(&self, id: &Id, values: &Record<'_>) {
        with_listening(|spans| spans.change(id, |span| values.record(span)));
    }

    fn try_close(&self, id: Id) -> bool {
        with_listening(|spans| spans.change(&id, |span| span.closed = true));
        true
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, _: &Event<'_>) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl Spans {
    /// Those that begin on this thread from now on.
    fn listen() -> Self {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(OfEachThread).unwrap());
        let spans = Self::default();
        LISTENING.set(Some(spans.clone()));
        spans
    }

    fn begin(&self, attributes: &Attributes<'_>) -> u64 {
        let mut spans = self.0.lock().unwrap();
        let name = attributes.metadata().name();
        let parent = attributes.parent().map(Id::into_u64);
        let mut span = Span { name, parent, fields: BTreeMap::new(), closed: false };
        attributes.record(&mut span);
        spans.push(span);
        spans.len() as u64
    }

    fn change(&self, id: &Id, change: impl FnOnce(&mut Span)) {
        let place = usize::try_from(id.into_u64() - 1).unwrap();
        self.0.lock().unwrap().get_mut(place).map(change);
    }

    fn all(&self) -> Vec<Span> {
        self.0.lock().unwrap().clone()
    }
}

impl Span {
    fn assert_has(&self, fields: &[(&str, &str)]) {
        for (name, value) in fields {
            assert_eq!(self.fields.get(name).map(String::as_str), Some(*value), "{name} of {self:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_goes_on_elsewhere_is_one_call_of_two_attempts() {
    let spans = Spans::listen();
    let broken =
        ScriptedProvider::new().with_broken_stream("ten ", Error::new(ErrorKind::Unavailable, "read"));
    let pool = |name: &str, provider| KeyPool::new(name).key(ProviderKey::new(name, provider));
    let model = GatewayModel::new("m").via("a", "").via("b", "").continuing();
    let gateway =
        builder().pool(pool("a", broken)).pool(pool("b", answering())).model(model).build().unwrap();
    gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap();
    let [call, first, second] = &spans.all()[..] else { panic!("{spans:?}") };
    call.assert_has(&[("gen_ai.provider.name", "b"), ("gen_ai.usage.output_tokens", "3")]);
    assert!(!call.fields.contains_key("error.type"), "it was answered");
    first.assert_has(&[("agentscale.gateway.attempt", "1"), ("error.type", "unavailable")]);
    second.assert_has(&[("agentscale.gateway.attempt", "2"), ("gen_ai.provider.name", "b")]);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_a_span_with_a_span_for_each_attempt() {
    let spans = Spans::listen();
    let gateway = tiers([failing(ErrorKind::Overloaded), answering()]).build().unwrap();
    gateway.complete(ask("acme").with_max_tokens(99)).await.unwrap();
    let [call, first, second] = &spans.all()[..] else { panic!("{spans:?}") };
    call.assert_has(&[
        ("otel.name", "chat m"),
        ("otel.kind", "client"),
        ("gen_ai.operation.name", "chat"),
        ("gen_ai.request.model", "m"),
        ("gen_ai.request.stream", "false"),
        ("gen_ai.request.max_tokens", "99"),
        ("gen_ai.provider.name", "p1"),
        ("gen_ai.response.model", "scripted"),
        ("gen_ai.usage.input_tokens", "0"),
        ("gen_ai.usage.output_tokens", "2"),
    ]);
    assert!(!call.fields.contains_key("error.type"), "a call that was answered did not fail");
    first.assert_has(&[
        ("agentscale.gateway.attempt", "1"),
        ("gen_ai.provider.name", "p0"),
        ("gen_ai.request.model", "m0"),
        ("error.type", "overloaded"),
    ]);
    second.assert_has(&[("agentscale.gateway.attempt", "2"), ("gen_ai.provider.name", "p1")]);
    assert_eq!((call.name, second.name), ("gen_ai.client.inference", "agentscale.gateway.attempt"));
    assert_eq!((call.parent, first.parent, second.parent), (None, Some(1), Some(1)));
    assert!(spans.all().iter().all(|span| span.closed), "{spans:?}");
    let shown = format!("{spans:?}");
    for secret in ["lease", "ten seconds", "acme", "k0", "k1"] {
        assert!(!shown.contains(secret), "{secret}: {shown}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_is_a_span_to_its_end_and_says_how_it_broke_off() {
    let spans = Spans::listen();
    let broken = Error::new(ErrorKind::Unavailable, "read the stream");
    let provider = ScriptedProvider::new().with_answer("ten seconds").with_broken_stream("ten ", broken);
    let gateway = tiers([provider.clone()]).build().unwrap();
    let mut stream = gateway.stream(ask("acme")).await.unwrap();
    assert!(!spans.all()[0].closed, "while it is read");
    while stream.next().await.is_some() {}
    drop(stream);
    let whole = spans.all()[0].clone();
    whole.assert_has(&[("gen_ai.request.stream", "true"), ("gen_ai.response.time_to_first_chunk", "0.0")]);
    assert!(whole.closed);
    gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap_err();
    spans.all()[2].assert_has(&[("error.type", "unavailable")]);
    assert_eq!(calls(&provider), 2);
}

#[tokio::test(start_paused = true)]
async fn vectors_and_failed_calls_are_spans_too() {
    let spans = Spans::listen();
    let gateway = tiers([ScriptedProvider::new().with_embeddings(vec![vec![1.0]])]).build().unwrap();
    gateway.embed(EmbeddingRequest::new(vec!["text".to_owned()])).await.unwrap();
    gateway.complete(ask("acme")).await.unwrap_err();
    spans.all()[0].assert_has(&[("otel.name", "embeddings m"), ("gen_ai.operation.name", "embeddings")]);
    spans.all()[2].assert_has(&[("otel.name", "chat m"), ("error.type", "internal")]);
}

#[tokio::test(start_paused = true)]
async fn who_listens_hears_of_places_that_a_thread_reached_first_that_does_not() {
    let spans = Spans::listen();
    let elsewhere = std::thread::spawn(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let gateway = tiers([answering()]).build().unwrap();
        runtime.block_on(gateway.complete(ask("acme"))).unwrap();
    });
    elsewhere.join().unwrap();
    assert!(spans.all().is_empty(), "they are another thread's");
    tiers([answering()]).build().unwrap().complete(ask("acme")).await.unwrap();
    assert_eq!(spans.all().len(), 2, "{spans:?}");
}
