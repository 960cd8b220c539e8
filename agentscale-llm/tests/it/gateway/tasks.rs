use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agentscale_core::llm::{CallContext, CompletionRequest, LlmProvider, Message};
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};
use agentscale_llm::simulated::SimulatedConfig;
use futures::future::join_all;
use tokio::time::Instant;

use super::scene::{builder, tenant};

/// Three keys with the limits of the documents' table of providers.
fn pool(name: &str, limits: &KeyLimits) -> KeyPool {
    (0..3_u64).fold(KeyPool::new(name), |pool, place| {
        let mut config = SimulatedConfig::default();
        config.seed = place;
        config.requests_per_minute = limits.requests.and_then(|requests| u32::try_from(requests).ok());
        config.first_token_ms = 800;
        config.first_token_sigma = 0.4;
        config.token_us = 10_000;
        (config.min_output_tokens, config.max_output_tokens) = (700, 1_300);
        let provider = SimulatedProvider::new(config).unwrap();
        pool.key(ProviderKey::new(format!("{name}-{place}"), provider).with_limits(limits.clone()))
    })
}

fn gateway() -> Gateway {
    let anthropic =
        KeyLimits::new().with_requests(4_000).with_input_tokens(400_000).with_output_tokens(80_000);
    let gemini = KeyLimits::new().with_requests(360).with_input_tokens(4_000_000).with_output_tokens(200_000);
    let mut config = GatewayConfig::new();
    config.max_wait_ms = 600_000;
    builder()
        .config(config)
        .pool(pool("anthropic", &anthropic))
        .pool(pool("gemini", &gemini))
        .model(GatewayModel::new("m").via("anthropic", "simulated").via("gemini", "simulated"))
        .build()
        .unwrap()
}

/// A task as the documents have it: 3 to 8 calls of about 2,000 tokens of input and 1,000 of output.
async fn work(gateway: &Gateway, worker: u64, until: Instant, tasks: &AtomicU64, tokens: &AtomicU64) {
    let mut random = fastrand::Rng::with_seed(worker);
    let context = CallContext::new().with_tenant(tenant(&format!("t{}", worker % 5)));
    loop {
        for _ in 0..random.u32(3..=8) {
            let text = "word ".repeat(random.usize(1_000..1_700));
            let request = CompletionRequest::new(vec![Message::user(text)]).with_context(context.clone());
            let Ok(answer) =
                tokio::time::timeout_at(until, gateway.complete(request.with_max_tokens(1_500))).await
            else {
                return;
            };
            let usage = answer.unwrap().usage;
            tokens.fetch_add(usage.input_tokens + usage.output_tokens, Ordering::Relaxed);
        }
        tasks.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn three_keys_each_of_two_providers_carry_five_to_ten_thousand_tasks_an_hour() {
    let gateway = gateway();
    let (tasks, tokens) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let minutes = 10;
    let until = Instant::now() + Duration::from_secs(minutes * 60);
    join_all((0..400).map(|worker| work(&gateway, worker, until, &tasks, &tokens))).await;
    let (tasks, tokens) = (tasks.load(Ordering::Relaxed), tokens.load(Ordering::Relaxed));
    let an_hour = tasks * 60 / minutes;
    assert!((5_000..=12_000).contains(&an_hour), "{an_hour} tasks an hour");
    let of_a_task = tokens / tasks;
    assert!((10_000..=20_000).contains(&of_a_task), "{of_a_task} tokens a task");
}
