//! How many tokens a call will take, before it is made.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{PoisonError, RwLock};

use agentscale_core::Tenant;
use agentscale_core::llm::{CompletionRequest, Usage};
use hashbrown::{DefaultHashBuilder, HashTable};

use super::quota::Tokens;
use crate::tokens::request_bytes;

/// What tenants' calls of a model took, learned from those that ended.
///
/// Input is the request's bytes times the tokens that a byte took so far; output is the 95th percentile so far, and no
/// more than the request allows. Nothing is kept but two numbers a tenant and model.
#[derive(Debug)]
pub(crate) struct Estimates {
    hasher: DefaultHashBuilder,
    shards: [RwLock<HashTable<Learned>>; SHARDS],
    max_per_shard: usize,
}

#[derive(Debug)]
struct Learned {
    tenant: Option<Tenant>,
    model: Box<str>,
    /// Tokens a byte of input, an `f32`; zero before the first call.
    input_ratio: AtomicU32,
    /// Tokens of output that 95 of 100 calls stay within, an `f64`; zero before the first call.
    output_p95: AtomicU64,
}

const SHARDS: usize = 16;

/// Tokens a byte before anything is learned: one in three, which most texts stay within.
const FIRST_RATIO: f32 = 1.0 / 3.0;

/// How much one call moves the ratio.
const RATIO_WEIGHT: f32 = 0.1;

/// The share of calls that stay within the estimate of their output.
const QUANTILE: f64 = 0.95;

/// How far one call moves the quantile: by this factor to the power of its share.
const QUANTILE_STEP: f64 = 1.5;

impl Estimates {
    /// Estimates of at most `max_entries` tenants and models; above that a part of them is learned anew.
    pub(crate) fn new(max_entries: usize) -> Self {
        Self {
            hasher: DefaultHashBuilder::default(),
            shards: std::array::from_fn(|_| RwLock::new(HashTable::new())),
            max_per_shard: max_entries.div_ceil(SHARDS).max(1),
        }
    }

    /// What `request` will take of `model`; `most` bounds the output where the request does not.
    pub(crate) fn estimate(&self, request: &CompletionRequest, model: &str, most: u32) -> Tokens {
        let bytes = request_bytes(request);
        let most = u64::from(request.max_tokens.unwrap_or(most));
        let learned = self.read(request.context.tenant.as_ref(), model, |learned| {
            let ratio = f32::from_bits(learned.input_ratio.load(Ordering::Relaxed));
            (ratio, f64::from_bits(learned.output_p95.load(Ordering::Relaxed)))
        });
        let (ratio, output) = match learned {
            Some((ratio, output)) if ratio > 0.0 => (ratio, ceil(output).clamp(1, most.max(1))),
            _ => (FIRST_RATIO, most),
        };
        Tokens { input: ceil(f64::from(ratio) * as_f64(bytes)).max(1), output, most_output: most }
    }

    /// A call ended.
    pub(crate) fn learn(&self, tenant: Option<&Tenant>, model: &str, input_bytes: u64, used: Usage) {
        if input_bytes == 0 || used.input_tokens == 0 {
            return;
        }
        #[expect(clippy::cast_possible_truncation, reason = "a ratio near one")]
        let ratio = (as_f64(used.input_tokens) / as_f64(input_bytes)) as f32;
        let output = as_f64(used.output_tokens).max(1.0);
        if self.read(tenant, model, |learned| learned.take_in(ratio, output)).is_none() {
            self.add(tenant, model, ratio, output);
        }
    }

    fn read<R>(&self, tenant: Option<&Tenant>, model: &str, read: impl FnOnce(&Learned) -> R) -> Option<R> {
        let hash = self.hash(tenant, model);
        let shard = self.shard(hash).read().unwrap_or_else(PoisonError::into_inner);
        shard.find(hash, |learned| learned.is_of(tenant, model)).map(read)
    }

    fn add(&self, tenant: Option<&Tenant>, model: &str, ratio: f32, output: f64) {
        let hash = self.hash(tenant, model);
        let mut shard = self.shard(hash).write().unwrap_or_else(PoisonError::into_inner);
        if shard.len() >= self.max_per_shard {
            // Which half goes is left to their hashes: what is in use is learned again by its next call.
            let mut seen = 0_usize;
            shard.retain(|_| {
                seen += 1;
                seen.is_multiple_of(2)
            });
        }
        let rehash = |learned: &Learned| self.hash(learned.tenant.as_ref(), &learned.model);
        shard.entry(hash, |learned| learned.is_of(tenant, model), rehash).or_insert_with(|| Learned {
            tenant: tenant.cloned(),
            model: model.into(),
            input_ratio: AtomicU32::new(ratio.to_bits()),
            output_p95: AtomicU64::new((output * QUANTILE_STEP).to_bits()),
        });
    }

    fn shard(&self, hash: u64) -> &RwLock<HashTable<Learned>> {
        // The table uses the lowest and the highest bits.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }

    fn hash(&self, tenant: Option<&Tenant>, model: &str) -> u64 {
        self.hasher.hash_one(Key { tenant, model })
    }
}

#[derive(Hash)]
struct Key<'a> {
    tenant: Option<&'a Tenant>,
    model: &'a str,
}

impl Learned {
    fn is_of(&self, tenant: Option<&Tenant>, model: &str) -> bool {
        self.tenant.as_ref() == tenant && *self.model == *model
    }

    /// Of two calls that end at once one may be lost: an estimate needs no more.
    fn take_in(&self, ratio: f32, output: f64) {
        let before = f32::from_bits(self.input_ratio.load(Ordering::Relaxed));
        self.input_ratio.store((before + RATIO_WEIGHT * (ratio - before)).to_bits(), Ordering::Relaxed);
        let p95 = f64::from_bits(self.output_p95.load(Ordering::Relaxed));
        // Up by 0.95 steps where it was too low, down by 0.05 where it was not: still where 5 in 100 are above it.
        let step = if output > p95 { QUANTILE } else { QUANTILE - 1.0 };
        self.output_p95.store((p95 * QUANTILE_STEP.powf(step)).max(1.0).to_bits(), Ordering::Relaxed);
    }
}

#[expect(clippy::cast_precision_loss, reason = "token counts are far below 2^52")]
fn as_f64(count: u64) -> f64 {
    count as f64
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float above zero saturates")]
fn ceil(number: f64) -> u64 {
    number.ceil() as u64
}

#[cfg(test)]
mod tests {
    use agentscale_core::llm::{CallContext, Message};

    use super::*;

    fn request(tenant: &str, text: &str) -> CompletionRequest {
        let context = CallContext::new().with_tenant(Tenant::new(tenant).unwrap());
        CompletionRequest::new(vec![Message::user(text)]).with_context(context)
    }

    #[test]
    fn before_anything_is_learned_bytes_and_the_bound_decide() {
        let estimates = Estimates::new(100);
        let unknown = estimates.estimate(&request("a", &"x".repeat(300)), "m", 1_024);
        assert_eq!(unknown.output, 1_024);
        assert!((100..120).contains(&unknown.input), "{unknown:?}");
        let bound = estimates.estimate(&request("a", "x").with_max_tokens(50), "m", 1_024);
        assert_eq!(bound.output, 50);
    }

    #[test]
    fn a_tenants_calls_of_a_model_teach_its_ratio_and_its_95th_percentile() {
        let estimates = Estimates::new(100);
        let asked = request("a", &"x".repeat(1_000));
        let bytes = request_bytes(&asked);
        let tenant = asked.context.tenant.clone();
        // 100 to 199 tokens of output, evenly spread.
        for call in 0..4_000_u64 {
            estimates.learn(tenant.as_ref(), "m", bytes, Usage::new(250, 100 + call * 37 % 100));
        }
        let learned = estimates.estimate(&asked, "m", 4_096);
        assert!((245..=255).contains(&learned.input), "{learned:?}");
        assert!((170..=240).contains(&learned.output), "{learned:?}");
        assert_eq!(estimates.estimate(&asked.clone().with_max_tokens(20), "m", 4_096).output, 20);
        assert_eq!(
            estimates.estimate(&request("b", "x"), "m", 4_096).output,
            4_096,
            "another tenant's is unknown"
        );
        assert_eq!(estimates.estimate(&asked, "n", 4_096).output, 4_096, "and so is another model's");
    }

    #[test]
    fn ninety_five_of_a_hundred_calls_stay_within_the_estimate() {
        let estimates = Estimates::new(100);
        let mut random = fastrand::Rng::with_seed(7);
        let asked = request("a", "x");
        let (mut within, calls) = (0, 20_000);
        for call in 0..calls {
            let output = (-(1.0 - random.f64()).ln() * 300.0).ceil();
            let estimate = estimates.estimate(&asked, "m", u32::MAX).output;
            if call >= 1_000 && output <= as_f64(estimate) {
                within += 1;
            }
            estimates.learn(asked.context.tenant.as_ref(), "m", 100, Usage::new(30, ceil(output)));
        }
        let share = f64::from(within) / f64::from(calls - 1_000);
        assert!((0.93..=0.97).contains(&share), "{share}");
    }

    #[test]
    fn short_requests_do_not_make_a_long_one_seem_longer_than_it_is() {
        let estimates = Estimates::new(100);
        let (short, long) = (request("a", "hi"), request("a", &"x".repeat(60_000)));
        for _ in 0..200 {
            // What providers put around a text of one token.
            let used = Usage::new(9, 10);
            estimates.learn(short.context.tenant.as_ref(), "m", request_bytes(&short), used);
        }
        let input = estimates.estimate(&long, "m", 100).input;
        assert!((10_000..=30_000).contains(&input), "{input}");
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let estimates = Estimates::new(160);
        for tenant in 0..10_000 {
            let tenant = Tenant::new(format!("t{tenant}")).unwrap();
            estimates.learn(Some(&tenant), "m", 100, Usage::new(30, 10));
        }
        let kept: usize = estimates.shards.iter().map(|shard| shard.read().unwrap().len()).sum();
        assert!((80..=160).contains(&kept), "{kept}");
    }
}
