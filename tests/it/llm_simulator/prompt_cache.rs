//! Several keys and the prompt caches of their organizations (row O13b).

use agentscale::core::llm::{CallContext, CompletionRequest, LlmProvider, Message};
use agentscale::llm::gateway::{Gateway, GatewayModel, KeyPool, ProviderKey};
use agentscale::llm::openai::{OpenAiConfig, OpenAiProvider};
use serde_json::json;

use super::server::Server;

const KEYS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// What of the input came from the caches, and which share of the calls found something, when conversations go on over
/// keys of four organizations.
async fn found_in_caches(stay: bool) -> (f64, f64) {
    let keys = KEYS.map(|key| json!({"key": key, "organization": key}));
    let server = Server::with(json!({
        "keys": keys,
        "cache": {"min_tokens": 128, "block_tokens": 32},
        "answers": {"min_tokens": 40, "max_tokens": 60},
    }));
    let pool = KEYS.into_iter().fold(KeyPool::new("p"), |pool, key| {
        let config = OpenAiConfig::new().with_base_url(format!("http://{}/v1", server.address));
        pool.key(ProviderKey::new(key, OpenAiProvider::new(&config.with_api_key(key)).unwrap()))
    });
    let model = GatewayModel::new("m").via("p", "m");
    let gateway = Gateway::builder().pool(pool).model(model).build().unwrap();
    // As many that calls in turn do not come back to the same key.
    let mut conversations: Vec<_> =
        (0..13).map(|run| vec![Message::system(format!("You are assistant {run}. ").repeat(40))]).collect();
    let (mut input, mut cached, mut calls, mut hits) = (0, 0, 0_u32, 0_u32);
    for turn in 0..6 {
        for (run, messages) in conversations.iter_mut().enumerate() {
            messages.push(Message::user(format!("Question {turn} of run {run}?")));
            let mut context = CallContext::new();
            context.session = stay.then(|| format!("run-{run}"));
            let answer = gateway
                .complete(CompletionRequest::new(messages.clone()).with_context(context))
                .await
                .unwrap();
            messages.push(answer.message);
            input += answer.usage.input_tokens;
            cached += answer.usage.cached_input_tokens;
            calls += 1;
            hits += u32::from(answer.usage.cached_input_tokens > 0);
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "small counts")]
    let saved = cached as f64 / input as f64;
    (saved, f64::from(hits) / f64::from(calls))
}

#[tokio::test]
async fn sessions_that_stay_with_their_keys_find_their_prompts_again() {
    let (saved, hits) = found_in_caches(true).await;
    assert!(hits >= 0.30 && saved >= 0.20, "{hits} {saved}");
    // All but the first call of each conversation.
    assert!(hits > 0.8, "{hits}");
    let (saved_in_turn, hits_in_turn) = found_in_caches(false).await;
    assert!(saved > 1.5 * saved_in_turn && hits > 1.5 * hits_in_turn, "{hits_in_turn} {saved_in_turn}");
}
