use std::sync::atomic::{AtomicU64, Ordering};

use crate::cache::Prefixes;
use crate::clock::Clock;
use crate::dialect::Dialect;
use crate::faults::Faults;
use crate::limits::{Account, Limits, Slots};
use crate::resources::Resources;
use crate::script::{Latency, Model, Script};
use crate::stats::Stats;

/// Everything that requests share.
#[derive(Debug)]
pub(crate) struct Simulator {
    pub(crate) seed: u64,
    pub(crate) script: Script,
    pub(crate) clock: Clock,
    pub(crate) limits: Limits,
    /// Ollama's, where they are limited.
    pub(crate) slots: Option<Slots>,
    pub(crate) faults: Faults,
    pub(crate) prefixes: Prefixes,
    pub(crate) resources: Resources,
    pub(crate) stats: Stats,
    /// Requests so far: they name requests, and make delays differ.
    count: AtomicU64,
}

impl Simulator {
    pub(crate) fn new(seed: u64, script: Script) -> Self {
        Self {
            seed,
            clock: Clock::new(),
            limits: Limits::new(script.limits.clone()),
            slots: script.limits.ollama.map(|limits| Slots::new(limits.parallel, limits.queue)),
            faults: Faults::new(seed, script.faults.clone()),
            prefixes: Prefixes::new(script.cache.clone()),
            resources: Resources::default(),
            stats: Stats::default(),
            count: AtomicU64::new(0),
            script,
        }
    }

    /// The number of the next request, from 1.
    pub(crate) fn next(&self) -> u64 {
        self.count.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Forgets what was served; answers under way are still billed when they end.
    pub(crate) fn reset(&self) {
        self.count.store(0, Ordering::Relaxed);
        self.limits.reset();
        self.faults.reset();
        self.prefixes.reset();
        self.resources.reset();
        self.stats.reset();
    }

    pub(crate) fn knows_key(&self, key: &str) -> bool {
        self.script.keys.is_empty() || self.script.keys.iter().any(|known| known.key == key)
    }

    /// Without a list every model exists.
    pub(crate) fn knows_model(&self, name: &str) -> bool {
        self.script.models.is_empty() || self.model(name).is_some()
    }

    pub(crate) fn model(&self, name: &str) -> Option<&Model> {
        // Ollama names a model's default version in full.
        let plain = name.strip_suffix(":latest").unwrap_or(name);
        self.script.models.iter().find(|model| model.name == name || model.name == plain)
    }

    pub(crate) fn latency(&self, model: &str) -> Latency {
        self.model(model).and_then(|model| model.latency).unwrap_or(self.script.latency)
    }

    pub(crate) fn account(&self, dialect: Dialect, key: &str, model: &str) -> Account {
        let known = self.script.keys.iter().find(|known| known.key == key);
        let organization = known.and_then(|known| known.organization.as_deref()).unwrap_or(key);
        Account { dialect, organization: organization.to_owned(), model: model.to_owned() }
    }
}
