use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::{CompletionEvent, CompletionRequest, EmbeddingRequest, LlmProvider, Message};
use agentscale_llm::SimulatedProvider;
use agentscale_llm::simulated::{ErrorRate, SimulatedConfig};
use futures::future::join_all;
use tokio::time::{Instant, timeout};

fn provider(set: impl FnOnce(&mut SimulatedConfig)) -> SimulatedProvider {
    let mut config = SimulatedConfig::default();
    set(&mut config);
    SimulatedProvider::new(config).unwrap()
}

fn ask() -> CompletionRequest {
    CompletionRequest::new(vec![Message::user("How long does a lease last?")])
}

#[tokio::test(start_paused = true)]
async fn one_seed_gives_one_course_of_events() {
    let run = |seed| async move {
        let provider = provider(|config| {
            config.seed = seed;
            config.first_token_ms = 300;
            config.first_token_sigma = 0.5;
            config.errors = vec![ErrorRate { kind: ErrorKind::Overloaded, rate: 0.3 }];
        });
        let mut course = Vec::new();
        for _ in 0..20 {
            let start = Instant::now();
            let answer =
                provider.complete(ask()).await.map(|answer| answer.text()).map_err(|error| error.kind());
            course.push((answer, start.elapsed()));
        }
        course
    };
    let first = run(7).await;
    assert_eq!(first, run(7).await);
    assert_ne!(first, run(8).await);
}

#[tokio::test(start_paused = true)]
async fn latency_has_its_median_and_tail() {
    let provider = provider(|config| {
        config.first_token_ms = 400;
        config.first_token_sigma = 0.5;
    });
    let mut times = Vec::new();
    for _ in 0..1_000 {
        let start = Instant::now();
        provider.complete(ask()).await.unwrap();
        times.push(start.elapsed().as_millis());
    }
    times.sort_unstable();
    assert!((370..=430).contains(&times[500]), "median {}", times[500]);
    assert!((1_000..=1_700).contains(&times[990]), "p99 {}", times[990]);
}

#[tokio::test]
async fn errors_come_at_their_rates() {
    let provider = provider(|config| {
        config.errors = vec![
            ErrorRate { kind: ErrorKind::Unavailable, rate: 0.1 },
            ErrorRate { kind: ErrorKind::ContentRefused, rate: 0.2 },
        ];
    });
    let results = join_all((0..2_000).map(|_| provider.complete(ask()))).await;
    let count =
        |kind| results.iter().filter(|result| result.as_ref().is_err_and(|e| e.kind() == kind)).count();
    assert!((150..=250).contains(&count(ErrorKind::Unavailable)), "{}", count(ErrorKind::Unavailable));
    assert!((330..=470).contains(&count(ErrorKind::ContentRefused)), "{}", count(ErrorKind::ContentRefused));
}

#[tokio::test(start_paused = true)]
async fn a_limit_says_when_there_is_room_again() {
    for set in [
        (|config: &mut SimulatedConfig| config.requests_per_minute = Some(2)) as fn(&mut SimulatedConfig),
        |config| {
            config.tokens_per_minute = Some(100);
            config.min_output_tokens = 43;
            config.max_output_tokens = 43;
        },
    ] {
        let provider = provider(set);
        for _ in 0..2 {
            provider.complete(ask()).await.unwrap();
        }
        let error = provider.complete(ask()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::RateLimited);
        tokio::time::sleep(error.retry_after().unwrap()).await;
        provider.complete(ask()).await.unwrap();
        assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::RateLimited);
    }
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_bounded_and_a_dropped_call_makes_room() {
    let provider = provider(|config| {
        config.max_concurrency = 1;
        config.token_us = 1_000;
    });
    let mut stream = provider.stream(ask()).await.unwrap();
    assert!(matches!(stream.next().await, Some(Ok(CompletionEvent::Text(_)))));
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::Overloaded);
    drop(stream);
    assert_eq!(provider.in_flight(), 0);
    provider.complete(ask()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_hanging_call_never_answers_and_the_next_one_does() {
    let provider = provider(|config| config.hanging_calls = vec![0]);
    timeout(Duration::from_secs(3_600), provider.complete(ask())).await.unwrap_err();
    assert_eq!(provider.in_flight(), 0);
    provider.complete(ask()).await.unwrap();
}

#[tokio::test]
async fn a_broken_answer_is_an_error_whether_streamed_or_whole() {
    let provider = provider(|config| config.break_rate = 1.0);
    assert_eq!(provider.complete(ask()).await.unwrap_err().kind(), ErrorKind::Unavailable);
    let stream = provider.stream(ask()).await.unwrap();
    assert_eq!(stream.collect().await.unwrap_err().kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn one_text_has_one_vector() {
    let provider = provider(|_| ());
    let texts = ["lease", "epoch", "lease"].map(str::to_owned).to_vec();
    let vectors = provider.embed(EmbeddingRequest::new(texts)).await.unwrap().vectors;
    assert_eq!(vectors[0], vectors[2]);
    assert_ne!(vectors[0], vectors[1]);
    let norm: f32 = vectors[0].iter().map(|x| x * x).sum();
    assert!((norm - 1.0).abs() < 1e-5, "{norm}");
}

#[test]
fn an_impossible_configuration_is_refused() {
    let refused = |set: fn(&mut SimulatedConfig)| {
        let mut config = SimulatedConfig::default();
        set(&mut config);
        SimulatedProvider::new(config).unwrap_err().kind()
    };
    assert_eq!(refused(|config| config.break_rate = 1.5), ErrorKind::InvalidInput);
    assert_eq!(refused(|config| config.break_rate = f64::NAN), ErrorKind::InvalidInput);
    assert_eq!(refused(|config| config.max_output_tokens = 0), ErrorKind::InvalidInput);
    assert!(serde_json::from_str::<SimulatedConfig>(r#"{"sed": 1}"#).is_err());
    assert!(
        serde_json::from_str::<SimulatedConfig>(r#"{"errors": [{"kind": "overloaded", "rate": 0.5}]}"#)
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn the_bill_counts_what_was_whole_and_what_was_cut() {
    let provider = provider(|config| {
        config.first_token_ms = 100;
        config.token_us = 10_000;
        config.min_output_tokens = 30;
        config.max_output_tokens = 30;
    });
    let input = agentscale_llm::estimate_tokens("How long does a lease last?");
    provider.complete(ask()).await.unwrap();
    provider.stream(ask()).await.unwrap().collect().await.unwrap();
    let bill = provider.bill();
    assert_eq!((bill.finished_calls, bill.cut_calls), (2, 0));
    assert_eq!((bill.finished.input_tokens, bill.finished.output_tokens), (2 * input, 60));

    timeout(std::time::Duration::from_millis(50), provider.complete(ask())).await.unwrap_err();
    timeout(std::time::Duration::from_millis(150), provider.complete(ask())).await.unwrap_err();
    let mut stream = provider.stream(ask()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    drop(stream);
    let bill = provider.bill();
    assert_eq!((bill.finished_calls, bill.cut_calls), (2, 3));
    assert_eq!((bill.cut.input_tokens, bill.cut.output_tokens), (3 * input, 32));
}

#[tokio::test(start_paused = true)]
async fn what_fails_before_its_first_token_is_not_billed() {
    let provider = provider(|config| {
        config.errors = vec![ErrorRate { kind: ErrorKind::Overloaded, rate: 1.0 }];
    });
    provider.complete(ask()).await.unwrap_err();
    assert_eq!(provider.bill(), agentscale_llm::simulated::SimulatedBill::default());
}
