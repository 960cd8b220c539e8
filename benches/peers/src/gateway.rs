//! What the gateway does before a call is sent and after it is answered, without a network.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use agentscale_core::llm::{
    CallContext, Completion, CompletionRequest, CompletionStream, FinishReason, LlmCapabilities, LlmProvider,
    Message, ModelInfo, Usage,
};
use agentscale_core::{Result, Tenant};
use agentscale_llm::gateway::{Gateway, GatewayConfig, GatewayModel, KeyLimits, KeyPool, ProviderKey};

use crate::counting;
use crate::support::table::{self, Required};

const KEYS: usize = 1_000;
/// Of them, those that only some tenants may use.
const OWN_KEYS: usize = 100;
/// How many tenants each of those serves.
const TENANTS_OF_A_KEY: usize = 10;
const TENANTS: usize = 100_000;
const CALLS: usize = 400_000;

/// The boxes that two calls of an asynchronous trait's methods are: the gateway's, and the one in which it calls the
/// provider.
const BOXES: usize = 2;

/// Admission, choice of a key and reservation: from the call of the gateway to the call of the provider.
pub(crate) fn gateway() -> Result<()> {
    let provider = Ready::default();
    let gateway = build(&provider)?;
    let tenants: Vec<_> =
        (0..TENANTS).map(|place| Tenant::new(format!("tenant-{place}"))).collect::<Result<_>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    // Every tenant has called before.
    let all = tenants.iter().map(|tenant| request(tenant, None));
    runtime.block_on(async {
        for request in all {
            gateway.complete(request).await.expect("an answer");
        }
    });
    for (what, session) in [("in turn", None), ("of a session", Some("run-7"))] {
        let mut random = 7_u64;
        let calls = (0..CALLS).map(|_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            &tenants[(random >> 33) as usize % TENANTS]
        });
        let (mut before, mut after, mut allocations) = (Vec::new(), Vec::new(), Vec::new());
        runtime.block_on(async {
            for (place, tenant) in calls.enumerate() {
                let request = request(tenant, session);
                // Counting takes time: every hundredth call is counted, and not timed.
                let counted = place % 100 == 0;
                counting::count(counted);
                let (made, start) = (counting::allocations(), Instant::now());
                let answer = gateway.complete(request).await.expect("an answer");
                let end = Instant::now();
                counting::count(false);
                let (entered, left) = provider.times();
                if counted {
                    allocations.push(provider.allocations.load(Ordering::Relaxed) - made);
                } else {
                    before.push(entered.duration_since(start));
                    after.push(end.duration_since(left));
                }
                drop(answer);
            }
        });
        print(&format!("gateway, before a call {what}"), &mut before, Some((1.0, 10.0)));
        print(&format!("gateway, after a call {what}"), &mut after, None);
        let most = allocations.iter().max().copied().unwrap_or_default();
        table::line(
            &format!("gateway, allocations before a call {what}"),
            &format!("{most} at most, of them {BOXES} for asynchronous calls"),
            "",
            most.saturating_sub(BOXES) as f64,
            Required::AtMost(0.0),
        );
    }
    Ok(())
}

fn build(provider: &Ready) -> Result<Gateway> {
    let limits = KeyLimits::new()
        .with_requests(1 << 30)
        .with_input_tokens(1 << 40)
        .with_output_tokens(1 << 40)
        .with_concurrency(1 << 20);
    let mut pool = KeyPool::new("p");
    for place in 0..KEYS {
        let mut key = ProviderKey::new(format!("key-{place}"), provider.clone()).with_limits(limits.clone());
        if place < OWN_KEYS {
            let own = (place..TENANTS).step_by(OWN_KEYS).take(TENANTS_OF_A_KEY);
            key = key
                .for_tenants(own.map(|at| Tenant::new(format!("tenant-{at}"))).collect::<Result<Vec<_>>>()?);
        }
        pool = pool.key(key);
    }
    // A call that is sent once is not copied for another attempt.
    let mut config = GatewayConfig::new();
    config.max_attempts = 1;
    Gateway::builder().config(config).pool(pool).model(GatewayModel::new("m").via("p", "m")).build()
}

fn request(tenant: &Tenant, session: Option<&str>) -> CompletionRequest {
    let mut context = CallContext::new().with_tenant(tenant.clone());
    context.session = session.map(str::to_owned);
    let messages =
        vec![Message::system("Answer in one sentence."), Message::user("How long does a lease last?")];
    CompletionRequest::new(messages).with_model("m").with_max_tokens(64).with_context(context)
}

fn print(what: &str, times: &mut [Duration], most: Option<(f64, f64)>) {
    times.sort_unstable();
    let at = |share: f64| times[(times.len() as f64 * share) as usize].as_secs_f64();
    for (name, share, most) in
        [("p50", 0.5, most.map(|(p50, _)| p50)), ("p99", 0.99, most.map(|(_, p99)| p99))]
    {
        let required = most.map_or(Required::Nothing, Required::AtMost);
        table::line(&format!("{what}, {name}"), &table::nanos(at(share)), "in us", at(share) * 1e6, required);
    }
}

/// Answers at the first poll, and knows when it was called.
#[derive(Clone, Debug)]
struct Ready {
    origin: Instant,
    entered: Arc<AtomicU64>,
    left: Arc<AtomicU64>,
    allocations: Arc<AtomicUsize>,
}

impl Default for Ready {
    fn default() -> Self {
        let (entered, left, allocations) = Default::default();
        Self { origin: Instant::now(), entered, left, allocations }
    }
}

impl Ready {
    fn times(&self) -> (Instant, Instant) {
        let at = |nanos: &AtomicU64| self.origin + Duration::from_nanos(nanos.load(Ordering::Relaxed));
        (at(&self.entered), at(&self.left))
    }

    fn note(&self, at: &AtomicU64) {
        at.store(self.origin.elapsed().as_nanos() as u64, Ordering::Relaxed);
    }
}

type Answered<'a, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 'a>>;

// Written out, so that the time is read before the call's own box is made.
impl LlmProvider for Ready {
    fn capabilities(&self) -> LlmCapabilities {
        LlmCapabilities::new()
    }

    fn models(&self) -> Vec<ModelInfo> {
        Vec::new()
    }

    fn complete<'a, 'b>(&'a self, request: CompletionRequest) -> Answered<'b, Completion>
    where
        'a: 'b,
        Self: 'b,
    {
        self.note(&self.entered);
        self.allocations.store(counting::allocations(), Ordering::Relaxed);
        drop(request);
        let usage = Usage::new(20, 10);
        let answer = Completion::new(Message::assistant("ten seconds"), FinishReason::Stop, usage, "m");
        let answered = Box::pin(ready(Ok(answer)));
        self.note(&self.left);
        answered
    }

    fn stream<'a, 'b>(&'a self, request: CompletionRequest) -> Answered<'b, CompletionStream>
    where
        'a: 'b,
        Self: 'b,
    {
        Box::pin(async move { Ok(CompletionStream::from_completion(self.complete(request).await?)) })
    }
}
