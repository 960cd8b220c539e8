use std::time::Duration;

use agentscale_core::llm::{
    Completion, CompletionEvent, CompletionRequest, CompletionStream, EmbeddingRequest, FinishReason,
    LlmProvider, Message, PartialAnswer, Usage,
};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind};
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use agentscale_llm::simulated::SimulatedConfig;
use futures::{StreamExt, stream};
use tokio::time::{Instant, sleep};

use super::scene::{Streaming, answering, ask, builder, calls, failing, over, pooled, tiers};

/// So many answers tell how long they take.
const KNOWN: usize = 40;

const SECOND: Duration = Duration::from_secs(1);

/// Answers in 20 ms for long enough to be known.
fn known() -> ScriptedProvider {
    (0..KNOWN).fold(ScriptedProvider::new(), |provider, _| {
        provider.with_delay(Duration::from_millis(20)).with_answer("first")
    })
}

async fn answer(gateway: &Gateway) -> String {
    gateway.complete(ask("acme")).await.unwrap().text()
}

async fn streamed(gateway: &Gateway) -> String {
    gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap().text()
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_hangs_is_left_within_a_second_and_after_some_calls_at_once() {
    let (first, second) = (known().with_hang().repeating(), answering());
    let gateway = tiers([first.clone(), second]).build().unwrap();
    for _ in 0..KNOWN {
        assert_eq!(answer(&gateway).await, "first");
    }
    for call in 0..20 {
        let start = Instant::now();
        assert_eq!(answer(&gateway).await, "ten seconds");
        let most = if call < 5 { SECOND } else { Duration::ZERO };
        assert!(start.elapsed() <= most, "{call}: {:?}", start.elapsed());
    }
    assert_eq!(calls(&first), KNOWN + 5);
}

#[tokio::test(start_paused = true)]
async fn a_stream_without_a_first_part_is_left_within_a_second() {
    let (first, second) = (known().with_hang().repeating(), answering());
    let gateway = tiers([first, second]).build().unwrap();
    for _ in 0..KNOWN {
        assert_eq!(streamed(&gateway).await, "first");
    }
    for _ in 0..10 {
        let start = Instant::now();
        assert_eq!(streamed(&gateway).await, "ten seconds");
        assert!(start.elapsed() <= SECOND, "{:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn before_anything_is_known_patience_is_long_and_without_elsewhere_endless() {
    let hanging = || ScriptedProvider::new().with_hang().repeating();
    let gateway = tiers([hanging(), answering()]).build().unwrap();
    let start = Instant::now();
    assert_eq!((answer(&gateway).await.as_str(), start.elapsed().as_secs()), ("ten seconds", 30));

    let slow = ScriptedProvider::new().with_delay(Duration::from_secs(300)).with_answer("at last");
    assert_eq!(answer(&over([slow])).await, "at last");
}

#[tokio::test(start_paused = true)]
async fn vectors_of_a_provider_that_hangs_come_from_another_of_the_same_model() {
    let mut config = SimulatedConfig::default();
    let live = SimulatedProvider::new(config.clone()).unwrap();
    config.hanging_calls = vec![0];
    let dead = SimulatedProvider::new(config).unwrap();
    let gateway = builder()
        .pool(KeyPool::new("dead").key(ProviderKey::new("d", dead)))
        .pool(KeyPool::new("live").key(ProviderKey::new("l", live)))
        .model(GatewayModel::new("m").via("dead", "simulated").via("live", "simulated"))
        .build()
        .unwrap();
    let vectors = gateway.embed(EmbeddingRequest::new(vec!["text".to_owned()])).await.unwrap();
    assert_eq!(vectors.vectors.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn who_is_only_slow_loses_nothing_and_an_error_of_one_leaves_the_other() {
    let after = |millis| ScriptedProvider::new().with_delay(Duration::from_millis(millis));
    let mut config = GatewayConfig::new();
    config.first_patience_ms = 100;
    let broken = || Error::new(ErrorKind::Unavailable, "call");
    for (first, second, expected) in [
        (after(300).with_answer("slow"), after(900).with_answer("late"), "slow"),
        (after(900).with_answer("late"), after(300).with_answer("other"), "other"),
        (after(200).with_error(broken()), after(300).with_answer("other"), "other"),
        (after(300).with_answer("slow"), after(100).with_error(broken()), "slow"),
    ] {
        let gateway = tiers([first, second]).config(config.clone()).build().unwrap();
        assert_eq!(answer(&gateway).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn where_a_model_has_one_provider_another_of_its_keys_is_asked() {
    let mut config = GatewayConfig::new();
    config.first_patience_ms = 100;
    let one = KeyLimits::new().with_concurrency(1);
    let hanging = ScriptedProvider::new().with_hang().repeating();
    let gateway = pooled([(hanging, one.clone()), (answering(), one)]).config(config).build().unwrap();
    for _ in 0..4 {
        assert_eq!(answer(&gateway).await, "ten seconds");
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_heals_has_its_calls_back_though_nobody_called_meanwhile() {
    let refusing = (0..8).fold(ScriptedProvider::new(), |provider, _| {
        provider.with_error(Error::new(ErrorKind::Unavailable, "call"))
    });
    let hanging = (0..7).fold(ScriptedProvider::new(), |provider, _| provider.with_hang());
    let mut config = GatewayConfig::new();
    config.first_patience_ms = 100;
    for first in [refusing, hanging] {
        let first = first.with_answer("healed").repeating();
        let gateway = tiers([first.clone(), answering()]).config(config.clone()).build().unwrap();
        for _ in 0..5 {
            assert_eq!(answer(&gateway).await, "ten seconds");
        }
        // Three probes meet the trouble, the fourth does not.
        sleep(Duration::from_millis(8_001)).await;
        assert_eq!(answer(&gateway).await, "healed");
        let probe = first.requests()[6].clone();
        assert_eq!((probe.model.as_str(), probe.max_tokens, probe.context.tenant), ("m0", Some(16), None));
    }
}

#[tokio::test(start_paused = true)]
async fn what_refuses_a_probe_works_and_probes_take_their_part_of_the_limits() {
    let failing = (0..5).fold(ScriptedProvider::new(), |provider, _| {
        provider.with_error(Error::new(ErrorKind::Overloaded, "call"))
    });
    let first = failing.with_error(Error::new(ErrorKind::InvalidInput, "call")).with_answer("healed");
    let limits = KeyLimits::new().with_requests(6);
    let gateway = pooled([(first.clone(), limits)]).build().unwrap();
    for _ in 0..5 {
        gateway.complete(ask("acme")).await.unwrap_err();
    }
    sleep(Duration::from_millis(2_001)).await;
    assert_eq!(calls(&first), 6, "a probe");
    let start = Instant::now();
    assert_eq!(answer(&gateway).await, "healed");
    assert!(start.elapsed() > Duration::from_secs(7), "{:?}", start.elapsed());
}

#[tokio::test(start_paused = true)]
async fn probes_go_on_with_the_keys_of_a_new_set_up_and_end_with_the_gateway() {
    let (dead, healed) = (failing(ErrorKind::Unavailable), answering());
    let second = ScriptedProvider::new().with_answer("second").repeating();
    let gateway = tiers([dead.clone(), second.clone()]).build().unwrap();
    for _ in 0..5 {
        assert_eq!(answer(&gateway).await, "second");
    }
    sleep(Duration::from_millis(2_001)).await;
    assert_eq!(calls(&dead), 6);
    gateway.reload(tiers([healed.clone(), second.clone()])).unwrap();
    sleep(Duration::from_millis(2_001)).await;
    assert_eq!((calls(&dead), calls(&healed)), (6, 1));
    assert_eq!(answer(&gateway).await, "ten seconds");

    let gateway = tiers([dead.clone(), second]).build().unwrap();
    for _ in 0..5 {
        assert_eq!(answer(&gateway).await, "second");
    }
    drop(gateway);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(calls(&dead), 11);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_stands_still_ends_with_what_had_come() {
    let mut config = GatewayConfig::new();
    config.max_silence_ms = 5_000;
    for (words, is_kept) in [(1, true), (20_000, false)] {
        let text = "ten ".repeat(words);
        let part = CompletionEvent::Text(text.clone());
        let stalling = Streaming({
            let part = part.clone();
            move |_| CompletionStream::new(stream::iter([Ok(part.clone())]).chain(stream::pending()))
        });
        let gateway = pooled([(stalling, KeyLimits::new())]).config(config.clone()).build().unwrap();
        let mut stream = gateway.stream(ask("acme")).await.unwrap();
        assert_eq!(stream.next().await.unwrap().unwrap(), part);
        let start = Instant::now();
        let error = stream.next().await.unwrap().unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::DeadlineExceeded, 5));
        let came = PartialAnswer::of(&error).map(|came| came.message.text());
        assert_eq!(came, is_kept.then_some(text), "what is not kept is no empty answer");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_take_longer_than_it_may_stand_still() {
    let provider = Streaming(|_: CompletionRequest| {
        let answer = Completion::new(Message::assistant("a b c"), FinishReason::Stop, Usage::new(1, 3), "m");
        let parts = CompletionEvent::parts_of(&answer).into_iter().chain([CompletionEvent::Finished(answer)]);
        CompletionStream::new(stream::iter(parts).then(|part| async move {
            sleep(Duration::from_secs(100)).await;
            Ok(part)
        }))
    });
    let gateway = over([provider]);
    let answer = gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.text(), "a b c");
}
