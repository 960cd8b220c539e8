//! Faults, cancels and reloads by chance: in the end nothing is held.

use std::time::Duration;

use agentscale_core::llm::{EmbeddingRequest, LlmProvider};
use agentscale_core::{Deadline, ErrorKind, Priority};
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::{
    Gateway, GatewayBuilder, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey,
};
use agentscale_llm::simulated::{ErrorRate, SimulatedConfig};
use fastrand::Rng;
use tokio::time::{sleep, timeout};

use super::scene::{ask_as, assert_idle, assert_untouched, builder, tenant};

const CLASSES: [Priority; 6] = [
    Priority::Incident,
    Priority::Supervised,
    Priority::Conversation,
    Priority::Scheduled,
    Priority::Consolidation,
    Priority::Evaluation,
];

fn faulty(seed: u64) -> SimulatedProvider {
    let mut random = Rng::with_seed(seed);
    let mut config = SimulatedConfig::default();
    config.seed = seed;
    config.first_token_ms = 200;
    config.first_token_sigma = 1.0;
    config.token_us = 5_000;
    config.break_rate = 0.1;
    config.errors = [
        ErrorKind::Unavailable,
        ErrorKind::RateLimited,
        ErrorKind::Overloaded,
        ErrorKind::InvalidInput,
        ErrorKind::ContentRefused,
        ErrorKind::Unauthenticated,
        ErrorKind::NotFound,
    ]
    .map(|kind| ErrorRate { kind, rate: 0.03 })
    .to_vec();
    config.hanging_calls = (0..5).map(|_| random.u64(..200)).collect();
    config.requests_per_minute = Some(2_000);
    SimulatedProvider::new(config).unwrap()
}

/// Pools of the same names with other limits, and now and then another key.
fn set_up(random: &mut Rng, providers: &[SimulatedProvider]) -> GatewayBuilder {
    let mut config = GatewayConfig::new();
    config.reject_above = random.usize(5..60);
    config.max_wait_ms = random.u64(100..20_000);
    config.first_patience_ms = random.u64(50..2_000);
    config.quarantine_ms = 5_000;
    config.max_silence_ms = 10_000;
    (config.overflow_pending, config.overflow_after_ms) = (random.usize(1..20), random.u64(1..2_000));
    let mut pools = providers.chunks(2).enumerate().map(|(pool, providers)| {
        let keys = 1 + random.usize(..2);
        let keys = providers.iter().take(keys).enumerate();
        keys.fold(KeyPool::new(format!("p{pool}")), |all, (key, provider)| {
            let limits = KeyLimits::new()
                .with_requests(random.u64(100..1_000))
                .with_output_tokens(random.u64(10_000..100_000))
                .with_concurrency(random.u32(1..20));
            all.key(ProviderKey::new(format!("k{pool}-{key}"), provider.clone()).with_limits(limits))
        })
    });
    let all = pools.by_ref().fold(builder().config(config), GatewayBuilder::pool);
    all.model(
        GatewayModel::new("m")
            .via("p0", "")
            .via("p1", "")
            .cheaper_for(Priority::Scheduled, "p1", "")
            .overflowing_to("p2", "")
            .on_refusal("other"),
    )
    .model(GatewayModel::new("other").via("p2", ""))
}

async fn call(gateway: Gateway, mut random: Rng) {
    let class = CLASSES[random.usize(..CLASSES.len())];
    let mut request = ask_as(&format!("t{}", random.u32(..4)), class).with_model("m");
    request.max_tokens = Some(random.u32(1..100));
    if random.u32(..4) == 0 {
        let wait = Duration::from_millis(random.u64(1..60_000));
        request.context.deadline =
            Some(Deadline::after(agentscale_core::time::ManualClock::UNIX_START, wait));
    }
    match random.u32(..10) {
        0 => {
            let context = request.context.with_tenant(tenant("vectors"));
            let texts = EmbeddingRequest::new(vec!["text".to_owned()]).with_model("m").with_context(context);
            drop(gateway.embed(texts).await);
        }
        1..=5 => {
            if let Ok(mut stream) = gateway.stream(request).await {
                let parts = random.usize(..80);
                for _ in 0..parts {
                    if stream.next().await.is_none() {
                        break;
                    }
                }
            }
        }
        _ => drop(gateway.complete(request).await),
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_in_the_end_nothing_is_held() {
    for seed in 0..30 {
        let mut random = Rng::with_seed(seed);
        let providers: Vec<_> = (0..6).map(|provider| faulty(seed * 10 + provider)).collect();
        let gateway = set_up(&mut random, &providers).build().unwrap();
        let mut running = Vec::new();
        for _ in 0..150 {
            let patience = Duration::from_millis(random.u64(1..20_000));
            let call = timeout(patience, call(gateway.clone(), random.fork()));
            running.push(tokio::spawn(async move { drop(call.await) }));
            sleep(Duration::from_millis(random.u64(..100))).await;
            if random.u32(..20) == 0 {
                gateway.reload(set_up(&mut random, &providers)).unwrap();
            }
        }
        for call in running {
            call.await.unwrap();
        }
        // A provider in trouble heals for its probes, and a minute fills what was used.
        sleep(Duration::from_secs(600)).await;
        assert_idle(&gateway);
        assert_eq!(providers.iter().map(SimulatedProvider::in_flight).sum::<usize>(), 0, "seed {seed}");
        assert!(gateway.keys().iter().all(|key| key.rests_for.is_none()), "{:?}", gateway.keys());
        assert_untouched(&gateway);
    }
}
