//! The gateway before two servers, of which the first dies and comes back.

use std::time::{Duration, Instant};

use agentscale::core::llm::{CompletionRequest, LlmProvider, Message};
use agentscale::llm::gateway::{Gateway, GatewayModel, KeyPool, ProviderKey};
use agentscale::llm::openai::{OpenAiConfig, OpenAiProvider};
use futures::future::join_all;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::server::Server;

const SECOND: Duration = Duration::from_secs(1);

/// So many answers tell how long they take.
const KNOWN: u64 = 40;

#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Whole,
    Parts,
}

fn gateway(first: &Server, second: &Server) -> Gateway {
    let key = |id: &str, server: &Server| {
        let config = OpenAiConfig::new().with_base_url(format!("http://{}/v1", server.address));
        ProviderKey::new(id, OpenAiProvider::new(&config).unwrap())
    };
    Gateway::builder()
        .pool(KeyPool::new("first").key(key("a", first)))
        .pool(KeyPool::new("second").key(key("b", second)))
        .model(GatewayModel::new("m").via("first", "one").via("second", "two"))
        .build()
        .unwrap()
}

/// Who answered, and how long it took.
async fn ask(gateway: &Gateway, manner: Manner) -> (String, Duration) {
    let request = CompletionRequest::new(vec![Message::user("How long does a lease last?")]);
    let start = Instant::now();
    let answer = match manner {
        Manner::Whole => gateway.complete(request).await.unwrap(),
        Manner::Parts => gateway.stream(request).await.unwrap().collect().await.unwrap(),
    };
    (answer.model, start.elapsed())
}

/// Asks until answers are known, and gives the longest that the next may take: a second, or more where the machine is busy
/// and the answers were slow.
async fn ask_until_known(gateway: &Gateway, manner: Manner) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..KNOWN {
        let (who, took) = ask(gateway, manner).await;
        assert_eq!(who, "one");
        slowest = slowest.max(took);
    }
    SECOND.max(slowest * 5)
}

/// Asks on until the first answers again.
async fn time_to_come_back(gateway: &Gateway, manner: Manner, most: Duration) -> Duration {
    let start = Instant::now();
    loop {
        let (who, took) = ask(gateway, manner).await;
        assert!(took < most, "{took:?}");
        if who == "one" {
            return start.elapsed();
        }
        sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_server_that_is_gone_is_left_at_once_and_has_its_calls_back_within_five_seconds() {
    let (mut first, second) = (Server::start(), Server::start());
    let gateway = gateway(&first, &second);
    let most = ask_until_known(&gateway, Manner::Whole).await;
    first.child.kill().unwrap();
    first.child.wait().unwrap();
    for manner in [Manner::Whole, Manner::Parts, Manner::Whole, Manner::Parts, Manner::Whole, Manner::Parts] {
        let (who, took) = ask(&gateway, manner).await;
        assert!(who == "two" && took < most, "{who} {took:?}");
    }
    let address = first.address.to_string();
    let _healed = Server::run(&["--listen", &address]);
    let back = time_to_come_back(&gateway, Manner::Whole, most).await;
    assert!(back <= 5 * SECOND, "{back:?}");
}

#[tokio::test]
async fn a_server_that_hangs_stalls_or_refuses_is_left_within_a_second_and_has_its_calls_back_within_five() {
    let stall = json!({"stall": {"after_events": 0}});
    let refusal = json!({"status": {"code": 503}});
    // Behind the first, probes are among the requests: five calls and two of them meet the trouble.
    let faults = |then: &Value| {
        let requests: Vec<_> = (KNOWN + 1..=KNOWN + 7).collect();
        json!({"faults": [{"when": {"requests": requests}, "then": then}]})
    };
    let each = [
        (json!("never_answers"), Manner::Whole),
        (json!("never_answers"), Manner::Parts),
        (stall, Manner::Parts),
        (refusal, Manner::Whole),
    ];
    let each = each.map(|(then, manner)| async move {
        let (first, second) = (Server::with(faults(&then)), Server::start());
        let gateway = gateway(&first, &second);
        let most = ask_until_known(&gateway, manner).await;
        for _ in 0..5 {
            let (who, took) = ask(&gateway, manner).await;
            assert!(who == "two" && took < most, "{then}: {who} {took:?}");
        }
        let back = time_to_come_back(&gateway, manner, most).await;
        // The trouble ends with the second probe, four seconds on.
        assert!(back <= (4 + 5) * SECOND, "{then}: {back:?}");
    });
    join_all(each).await;
}
