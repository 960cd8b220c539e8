use std::time::Duration;

use agentscale_core::llm::{CompletionEvent, LlmProvider};
use agentscale_core::testkit::ScriptedProvider;
use agentscale_core::{Error, ErrorKind, Retry};
use agentscale_llm::gateway::{GatewayModel, KeyLimits, KeyPool, ProviderKey};
use tokio::time::sleep;

use super::scene::{answering, ask, builder, calls, failing, over, pooled, tiers};

#[tokio::test(start_paused = true)]
async fn a_provider_in_trouble_is_left_for_the_next_at_once() {
    for kind in [ErrorKind::Unavailable, ErrorKind::Overloaded, ErrorKind::Internal, ErrorKind::Corrupt] {
        let (first, second) = (failing(kind), answering());
        let gateway = tiers([first.clone(), second.clone()]).build().unwrap();
        let before = tokio::time::Instant::now();
        assert_eq!(gateway.complete(ask("acme")).await.unwrap().text(), "ten seconds");
        assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits for a back-off");
        assert_eq!((calls(&first), calls(&second)), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_keeps_failing_gets_a_probe_every_two_seconds_and_its_calls_back_when_it_heals() {
    let first = (0..6).fold(ScriptedProvider::new(), |provider, _| {
        provider.with_error(Error::new(ErrorKind::Unavailable, "call"))
    });
    let (first, second) = (first.with_answer("healed").repeating(), answering());
    let gateway = tiers([first.clone(), second.clone()]).build().unwrap();
    for _ in 0..50 {
        assert_eq!(gateway.complete(ask("acme")).await.unwrap().text(), "ten seconds");
    }
    assert_eq!(calls(&first), 5, "five failures in a row open its circuit");
    sleep(Duration::from_millis(2_001)).await;
    assert_eq!(gateway.complete(ask("acme")).await.unwrap().text(), "ten seconds", "the probe failed");
    assert_eq!(calls(&first), 6);
    sleep(Duration::from_millis(2_001)).await;
    for _ in 0..10 {
        assert_eq!(gateway.complete(ask("acme")).await.unwrap().text(), "healed");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limited_key_rests_as_long_as_the_provider_says_and_no_shorter() {
    let limited = Error::new(ErrorKind::RateLimited, "call").with_retry_after(Duration::from_secs(7));
    let first = ScriptedProvider::new().with_error(limited).with_answer("first").repeating();
    let second = ScriptedProvider::new().with_answer("second").repeating();
    let gateway = over([first.clone(), second.clone()]);
    for _ in 0..10 {
        assert_eq!(gateway.complete(ask("acme")).await.unwrap().text(), "second");
    }
    assert_eq!(calls(&first), 1);
    sleep(Duration::from_millis(7_001)).await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        answers.push(gateway.complete(ask("acme")).await.unwrap().text());
    }
    answers.sort();
    assert_eq!(answers, ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn keys_of_one_quota_rest_together() {
    use agentscale_llm::gateway::{GatewayModel, KeyPool, ProviderKey};
    let limited = Error::new(ErrorKind::RateLimited, "call").with_retry_after(Duration::from_secs(7));
    let (first, second) = (ScriptedProvider::new().with_error(limited).repeating(), answering());
    let key = |id: &str, provider| ProviderKey::new(id, provider).with_quota("org");
    let pool = KeyPool::new("p").key(key("a", first)).key(key("b", second.clone()));
    let gateway =
        super::scene::builder().pool(pool).model(GatewayModel::new("m").via("p", "m")).build().unwrap();
    let mut request = ask("acme");
    request.context.deadline = Some(agentscale_core::Deadline::after(
        agentscale_core::time::ManualClock::UNIX_START,
        Duration::from_secs(3),
    ));
    let error = gateway.complete(request).await.unwrap_err();
    assert_eq!(
        error.kind(),
        ErrorKind::RateLimited,
        "the error of the attempt, for the other key has no room either"
    );
    assert_eq!(calls(&second), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_set_aside_and_its_provider_is_not() {
    for kind in [ErrorKind::Unauthenticated, ErrorKind::QuotaExceeded, ErrorKind::PermissionDenied] {
        let (revoked, good) = (failing(kind), answering());
        let gateway = over([revoked.clone(), good.clone()]);
        for _ in 0..20 {
            gateway.complete(ask("acme")).await.unwrap();
        }
        assert_eq!((calls(&revoked), calls(&good)), (1, 20));
    }
}

#[tokio::test(start_paused = true)]
async fn the_callers_own_errors_are_tried_once_and_take_nothing() {
    for kind in [ErrorKind::InvalidInput, ErrorKind::ContextTooLong, ErrorKind::ContentRefused] {
        let first = failing(kind);
        let gateway =
            pooled([(first.clone(), KeyLimits::new().with_concurrency(1)), (answering(), KeyLimits::new())]);
        let gateway = gateway.build().unwrap();
        let error = gateway.complete(ask("acme")).await.unwrap_err();
        assert_eq!((error.kind(), error.context("attempts")), (kind, Some("1")));
        assert_eq!(calls(&first), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn attempts_are_bounded_and_the_last_error_is_told() {
    let providers: Vec<_> = (0..5).map(|_| failing(ErrorKind::Overloaded)).collect();
    let gateway = tiers(providers.clone()).build().unwrap();
    let error = gateway.complete(ask("acme")).await.unwrap_err();
    assert_eq!((error.kind(), error.retry()), (ErrorKind::Overloaded, Retry::Exhausted));
    assert_eq!(error.context("attempts"), Some("3"));
    assert_eq!(providers.iter().map(calls).sum::<usize>(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_stream_begins_anew_elsewhere_while_nothing_was_shown_and_ends_with_its_error_after() {
    let broken = || Error::new(ErrorKind::Unavailable, "read the stream");
    let silent = ScriptedProvider::new().with_broken_stream("", broken()).repeating();
    let second = answering();
    let gateway = tiers([silent, second.clone()]).build().unwrap();
    let answer = gateway.stream(ask("acme")).await.unwrap().collect().await.unwrap();
    assert_eq!(answer.text(), "ten seconds");

    let talking = ScriptedProvider::new().with_broken_stream("ten ", broken()).repeating();
    let gateway = tiers([talking, second.clone()]).build().unwrap();
    let mut stream = gateway.stream(ask("acme")).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), CompletionEvent::Text("ten ".to_owned()));
    assert_eq!(stream.next().await.unwrap().unwrap_err().kind(), ErrorKind::Unavailable);
    assert!(stream.next().await.is_none());
    assert_eq!(calls(&second), 1);
}

#[tokio::test(start_paused = true)]
async fn one_key_is_sent_the_whole_call_again_for_the_next_model() {
    let refused = Error::new(ErrorKind::NotFound, "call");
    let provider = ScriptedProvider::new().with_error(refused).with_answer("ten seconds");
    let pool = KeyPool::new("p").key(ProviderKey::new("k", provider.clone()));
    let model = GatewayModel::new("m").via("p", "new").via("p", "old");
    let gateway = builder().pool(pool).model(model).build().unwrap();
    gateway.complete(ask("acme")).await.unwrap();
    let sent: Vec<_> = provider.requests().into_iter().map(|sent| (sent.model, sent.messages)).collect();
    let asked = ask("acme").messages;
    assert_eq!(sent, [("new".to_owned(), asked.clone()), ("old".to_owned(), asked)]);
}
