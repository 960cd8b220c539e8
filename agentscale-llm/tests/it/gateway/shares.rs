//! One tenant asks a hundred times as much as the others.

use std::time::Duration;

use agentscale_core::ErrorKind;
use agentscale_core::llm::LlmProvider;
use agentscale_llm::SimulatedProvider;
use agentscale_llm::gateway::Gateway;
use futures::future::{join, join_all};
use tokio::time::{Instant, sleep, timeout};

use super::limited::Unit;
use super::scene::{ask, assert_idle, pooled};

const TENANTS: u32 = 10;

/// Requests a second in all: an equal share is one.
const RATE: u32 = 10;

const SECONDS: u32 = 600;

/// How much of its equal share a quiet tenant asks for.
const LOAD: f64 = 0.8;

/// When a tenant's calls come, in seconds: by chance, at `a_second`.
fn arrivals(seed: u64, a_second: f64) -> Vec<f64> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut at = 0.0;
    let next = std::iter::from_fn(|| {
        at -= (1.0 - random.f64()).ln() / a_second;
        (at < f64::from(SECONDS)).then_some(at)
    });
    next.collect()
}

/// What the calls would wait for with an equal share of their own.
fn alone(arrivals: &[f64]) -> Vec<f64> {
    let each = f64::from(TENANTS) / f64::from(RATE);
    let mut free_at = 0.0_f64;
    let waits = arrivals.iter().map(|at| {
        let begins = free_at.max(*at);
        free_at = begins + each;
        begins - at
    });
    waits.collect()
}

fn p99(mut waits: Vec<f64>) -> f64 {
    waits.sort_by(f64::total_cmp);
    waits[waits.len() * 99 / 100]
}

/// How long each call of a tenant waited.
async fn waits(gateway: &Gateway, tenant: &str, arrivals: Vec<f64>) -> Vec<f64> {
    let start = Instant::now();
    let calls = arrivals.into_iter().map(|at| async move {
        sleep(Duration::from_secs_f64(at).saturating_sub(start.elapsed())).await;
        let asked = Instant::now();
        gateway.complete(ask(tenant)).await.unwrap();
        asked.elapsed().as_secs_f64()
    });
    join_all(calls).await
}

#[tokio::test(start_paused = true)]
async fn the_others_wait_as_with_an_equal_share_of_their_own() {
    for unit in Unit::ALL {
        beside_a_loud_one(unit).await;
    }
}

async fn beside_a_loud_one(unit: Unit) {
    let (limits, provider) = unit.limits(RATE * 60).await;
    let gateway = pooled([(SimulatedProvider::new(provider).unwrap(), limits)]).build().unwrap();
    // What a minute holds at the start is spent.
    for _ in 0..RATE * 60 {
        gateway.complete(ask("first")).await.unwrap();
    }
    // What a call uses is learned of each tenant: before that the line refuses who seems to come too late.
    for tenant in 1..TENANTS {
        gateway.complete(ask(&format!("quiet-{tenant}"))).await.unwrap();
    }
    let loud = async {
        let calls = arrivals(99, LOAD * 100.0).into_iter().map(|at| {
            let gateway = &gateway;
            async move {
                sleep(Duration::from_secs_f64(at)).await;
                match gateway.complete(ask("loud")).await {
                    Ok(_) => true,
                    Err(error) => {
                        assert!(matches!(error.kind(), ErrorKind::Overloaded | ErrorKind::DeadlineExceeded));
                        false
                    }
                }
            }
        });
        join_all(calls).await.into_iter().filter(|answered| *answered).count()
    };
    let quiet = (1..TENANTS).map(|tenant| {
        let gateway = &gateway;
        async move {
            let arrivals = arrivals(u64::from(tenant), LOAD);
            let reference = alone(&arrivals);
            let waited = waits(gateway, &format!("quiet-{tenant}"), arrivals).await;
            (waited, reference)
        }
    });
    let all = timeout(Duration::from_secs(3_600), join(loud, join_all(quiet)));
    let (answered, quiet) = all.await.unwrap();
    let (waited, reference): (Vec<_>, Vec<_>) = quiet.into_iter().unzip();
    let (waited, reference) = (p99(waited.concat()), p99(reference.concat()));
    let one = 1.0 / f64::from(RATE);
    assert!(waited <= 1.5 * reference + one, "{unit:?}: {waited} beside {reference}");
    assert!(answered > 1_000, "what the others leave is the loud one's: {unit:?}: {answered}");
    assert_idle(&gateway);
}
