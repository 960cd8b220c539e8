//! Streams that break off behind something that was shown, and go on elsewhere.

use std::time::Duration;

use agentscale_core::budget::Amount;
use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, FinishReason, LlmCapabilities,
    LlmProvider, Message, PartialAnswer, ReasoningEffort, ResponseFormat, Role, Usage,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind, Json, Result};
use agentscale_llm::budget::InMemoryBudgetLedger;
use agentscale_llm::gateway::{Gateway, GatewayBuilder, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use futures::{StreamExt, stream};
use tokio::time::timeout;

use super::budget::scene::{balance, bound, daily, prices, settled, usage};
use super::scene::{Streaming, answering, ask, assert_idle, builder, calls};

/// A model `m` over a pool for each provider, whose answers go on where they break off.
fn continuing<P: LlmProvider>(providers: impl IntoIterator<Item = P>) -> GatewayBuilder {
    let mut model = GatewayModel::new("m").with_max_output_tokens(100).continuing();
    let mut gateway = builder();
    for (place, provider) in providers.into_iter().enumerate() {
        let key = ProviderKey::new(format!("k{place}"), provider);
        let pool = format!("p{place}");
        gateway =
            gateway.pool(KeyPool::new(&pool).key(key.with_limits(KeyLimits::new().with_concurrency(1))));
        model = model.via(pool, "");
    }
    gateway.model(model)
}

fn broken() -> Error {
    Error::new(ErrorKind::Unavailable, "read the stream")
}

fn breaking(text: &str) -> ScriptedProvider {
    ScriptedProvider::new().with_broken_stream(text, broken()).repeating()
}

fn saying(text: &str) -> ScriptedProvider {
    ScriptedProvider::new().with_answer(text).repeating()
}

/// What is shown, and what ends it.
async fn read(gateway: &Gateway, request: CompletionRequest) -> (String, Result<Completion>) {
    let (mut shown, mut stream) = (String::new(), gateway.stream(request).await.unwrap());
    loop {
        match stream.next().await.unwrap() {
            Ok(CompletionEvent::Text(text)) => shown.push_str(&text),
            Ok(CompletionEvent::Finished(answer)) => return (shown, Ok(answer)),
            Ok(_) => {}
            Err(error) => return (shown, Err(error)),
        }
    }
}

/// `request` breaks off, and another target that could go on is not asked.
async fn assert_ends(gateway: GatewayBuilder, request: CompletionRequest, second: &ScriptedProvider) {
    let gateway = gateway.build().unwrap();
    let (_, answer) = read(&gateway, request).await;
    assert!(answer.is_err() && calls(second) == 0, "{answer:?}");
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_breaks_off_goes_on_at_another_target_and_is_seen_as_one() {
    let (first, second) = (breaking("a lease lasts "), saying(" ten seconds"));
    let gateway = continuing([first, second.clone()]).build().unwrap();
    let request = ask("acme").with_reasoning_effort(ReasoningEffort::Low).with_max_tokens(50);
    let (shown, answer) = read(&gateway, request).await;
    let answer = answer.unwrap();
    assert_eq!((shown.as_str(), answer.text().as_str()), ("a lease lasts ten seconds", shown.as_str()));
    let sent = &second.requests()[0];
    let words = sent.messages.last().unwrap();
    assert_eq!((words.role, words.text().as_str()), (Role::Assistant, "a lease lasts"));
    // "a ", "lease ", "lasts " count 1, 2 and 2 tokens.
    assert_eq!((sent.max_tokens, sent.reasoning_effort), (Some(45), None));
    assert_eq!(answer.usage.output_tokens, 5 + 3, "what was counted of the first, and what the second told");
    assert!(answer.usage.input_tokens > 0);
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn usage_is_what_the_provider_told_before_it_broke_off() {
    let came = PartialAnswer::new(Message::assistant("ten "), Usage::new(70, 9), "m");
    let first = ScriptedProvider::new().with_broken_stream("ten ", came.behind(broken()));
    let rest = Completion::new(Message::assistant("seconds"), FinishReason::Stop, Usage::new(80, 2), "m");
    let gateway = continuing([first, ScriptedProvider::new().with_completion(rest)]).build().unwrap();
    let (_, answer) = read(&gateway, ask("acme")).await;
    assert_eq!(answer.unwrap().usage, Usage::new(150, 11));
}

#[tokio::test(start_paused = true)]
async fn one_that_breaks_off_again_goes_on_again_while_attempts_are_left() {
    let providers = [breaking("a lease "), breaking("lasts "), saying("ten seconds"), answering()];
    let gateway = continuing(providers.clone()).build().unwrap();
    let (shown, answer) = read(&gateway, ask("acme")).await;
    assert_eq!(
        (shown.as_str(), answer.unwrap().text().as_str()),
        ("a lease lasts ten seconds", shown.as_str())
    );
    assert_eq!(providers[2].requests()[0].messages.last().unwrap().text(), "a lease lasts");

    let providers = [breaking("a lease "), breaking("lasts "), breaking("ten "), answering()];
    let gateway = continuing(providers.clone()).build().unwrap();
    let (shown, answer) = read(&gateway, ask("acme")).await;
    let error = answer.unwrap_err();
    let came = PartialAnswer::of(&error).unwrap();
    assert_eq!((shown.as_str(), came.message.text().as_str()), ("a lease lasts ten ", shown.as_str()));
    assert_eq!((error.kind(), came.usage.output_tokens), (ErrorKind::Unavailable, 6));
    assert_eq!(providers.each_ref().map(calls), [1, 1, 1, 0], "`max_attempts` is 3");
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn one_that_stands_still_goes_on_too() {
    let standing = Streaming(|_| {
        let ten = Ok(CompletionEvent::Text("ten".to_owned()));
        CompletionStream::new(stream::iter([ten]).chain(stream::pending()))
    });
    let pool = |name, key| KeyPool::new(name).key(key);
    let gateway = builder()
        .pool(pool("a", ProviderKey::new("a", standing)))
        .pool(pool("b", ProviderKey::new("b", saying(" seconds"))))
        .model(GatewayModel::new("m").via("a", "").via("b", "").continuing())
        .build()
        .unwrap();
    let (shown, answer) = read(&gateway, ask("acme")).await;
    assert_eq!((shown.as_str(), answer.unwrap().text().as_str()), ("ten seconds", "ten seconds"));
}

#[tokio::test(start_paused = true)]
async fn where_the_rest_cannot_be_had_the_error_is_why_it_broke_off() {
    let failing = super::scene::failing(ErrorKind::InvalidInput);
    let gateway = continuing([breaking("ten "), failing.clone()]).build().unwrap();
    let (shown, answer) = read(&gateway, ask("acme")).await;
    assert_eq!((shown.as_str(), answer.unwrap_err().kind()), ("ten ", ErrorKind::Unavailable));
    assert_eq!(calls(&failing), 1);
    assert_idle(&gateway);
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_unless_the_model_is_told_to() {
    let second = answering();
    let gateway = super::scene::tiers([breaking("ten "), second.clone()]);
    assert_ends(gateway, ask("acme"), &second).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_where_no_target_can() {
    let second = answering().with_capabilities(LlmCapabilities::new());
    assert_ends(continuing([breaking("ten "), second.clone()]), ask("acme"), &second).await;
    let alone = breaking("ten ");
    let gateway = continuing([alone.clone()]).build().unwrap();
    assert!(read(&gateway, ask("acme")).await.1.is_err());
    assert_eq!(calls(&alone), 1, "the one that broke off is not asked again");
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_but_free_text() {
    let schema = ResponseFormat::JsonSchema { name: "a".to_owned(), schema: Json::parse("{}").unwrap() };
    let own_words = {
        let mut request = ask("acme");
        request.messages.push(Message::assistant("It is"));
        request
    };
    for request in [ask("acme").with_response_format(schema), own_words, ask("acme").with_max_tokens(1)] {
        let second = answering();
        assert_ends(continuing([breaking("ten "), second.clone()]), request, &second).await;
    }
    let refused = Error::new(ErrorKind::ContentRefused, "read the stream");
    let second = answering();
    let first = ScriptedProvider::new().with_broken_stream("ten ", refused);
    assert_ends(continuing([first, second.clone()]), ask("acme"), &second).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_goes_on_behind_thoughts_or_arguments_that_were_shown() {
    let arguments = CompletionEvent::ToolArguments { index: 0, fragment: "{".to_owned() };
    for event in [arguments, CompletionEvent::Reasoning("hm".to_owned())] {
        let second = answering();
        let first = Streaming(move |_| {
            let text = CompletionEvent::Text("ten ".to_owned());
            CompletionStream::from_events([Ok(text), Ok(event.clone()), Err(broken())])
        });
        let pool = KeyPool::new("a").key(ProviderKey::new("a", first));
        let gateway = builder()
            .pool(pool)
            .pool(KeyPool::new("b").key(ProviderKey::new("b", second.clone())))
            .model(GatewayModel::new("m").via("a", "").via("b", "").continuing());
        assert_ends(gateway, ask("acme"), &second).await;
    }
}

#[tokio::test(start_paused = true)]
async fn each_attempt_is_held_and_settled_in_the_budget_by_itself() {
    let (most, ledger) = (bound().await, InMemoryBudgetLedger::new());
    let rest = |usage| {
        let rest = Completion::new(Message::assistant("seconds"), FinishReason::Stop, usage, "m");
        ScriptedProvider::new().with_completion(rest).repeating()
    };
    let told =
        continuing([breaking("ten "), rest(Usage::new(40, 3))]).prices(prices()).ledger(ledger.clone());
    let gateway = told.budget(daily(1_000_000)).build().unwrap();
    read(&gateway, ask("acme")).await.1.unwrap();
    settled().await;
    assert_eq!(
        balance(&ledger).await.spent.tokens,
        most.tokens + 43,
        "the one that broke off costs its most"
    );
    let counts = usage(&ledger).await;
    assert_eq!((counts.calls, counts.cut_calls), (1, 1));

    let ledger = InMemoryBudgetLedger::new();
    let untold =
        continuing([breaking("ten "), rest(Usage::default())]).prices(prices()).ledger(ledger.clone());
    let gateway = untold.budget(daily(1_000_000)).build().unwrap();
    read(&gateway, ask("acme")).await.1.unwrap();
    settled().await;
    let second = balance(&ledger).await.spent.tokens - most.tokens;
    // A message, its part and the bytes of "ten"; "ten " was one of the 100 tokens of the longest answer.
    assert_eq!(second, most.tokens + 16 + 16 + 3 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_budget_without_room_for_the_rest_ends_the_stream_as_it_broke_off() {
    let (most, ledger) = (bound().await, InMemoryBudgetLedger::new());
    let second = answering();
    let gateway = continuing([breaking("ten "), second.clone()]).prices(prices()).ledger(ledger.clone());
    let gateway = gateway.budget(daily(most.tokens + 10)).build().unwrap();
    let (_, answer) = read(&gateway, ask("acme")).await;
    assert_eq!((answer.unwrap_err().kind(), calls(&second)), (ErrorKind::Unavailable, 0));
    gateway.close().await.unwrap();
    assert_eq!(balance(&ledger).await.spent.tokens, most.tokens);
}

#[tokio::test(start_paused = true)]
async fn dropped_while_it_goes_on_a_stream_leaves_nothing_behind() {
    for is_silent in [true, false] {
        let second = ScriptedProvider::new();
        let second = match is_silent {
            true => second.with_hang(),
            false => second.with_delay(Duration::from_secs(1)).with_answer("seconds"),
        };
        let ledger = InMemoryBudgetLedger::new();
        let gateway = continuing([breaking("ten "), second.clone()]).prices(prices()).ledger(ledger.clone());
        let gateway = gateway.budget(daily(1_000_000)).build().unwrap();
        let mut stream = gateway.stream(ask("acme")).await.unwrap();
        stream.next().await.unwrap().unwrap();
        assert!(timeout(Duration::from_millis(100), stream.next()).await.is_err());
        assert_eq!(calls(&second), 1);
        drop(stream);
        assert_idle(&gateway);
        gateway.close().await.unwrap();
        assert_eq!((usage(&ledger).await.cut_calls, balance(&ledger).await.reserved), (2, Amount::ZERO));
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_too_long_to_be_kept_ends_with_the_error_that_it_broke_off_with() {
    for (bytes, goes_on) in [(60 << 10, true), (70 << 10, false)] {
        let second = saying("end");
        let gateway = continuing([breaking(&"word ".repeat(bytes / 5)), second.clone()]).build().unwrap();
        let (shown, answer) = read(&gateway, ask("acme").with_max_tokens(1_000_000)).await;
        assert_eq!(calls(&second), usize::from(goes_on), "{bytes}");
        match answer {
            Ok(answer) => assert!(goes_on && answer.text() == shown && shown.ends_with("end")),
            Err(error) => assert!(!goes_on && error.kind() == ErrorKind::Unavailable, "{error}"),
        }
        assert_idle(&gateway);
    }
}
