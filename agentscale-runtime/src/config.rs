use std::time::Duration;

use agentscale_core::checkpoint::{Durability, RetentionPolicy};
use agentscale_core::transport::MailboxLimits;
use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

use crate::Machine;

/// Options of a runtime.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuntimeConfig {
    /// Turns that execute at once. Default: `MAX_CONCURRENT_AGENT_RUNS`, else
    /// min(CPUs × 10, memory / 200 MB, 2000) (FEATURES S2).
    pub max_concurrent_turns: usize,
    /// Turns that are admitted and not finished: 200,000 by default.
    pub max_waiting_turns: usize,
    /// Bytes of the messages of those turns, by their size hints: 1 GiB by default.
    pub max_waiting_bytes: usize,
    /// Threads for blocking work. Default: max(CPUs, 16) (FEATURES S5).
    pub blocking_threads: usize,
    /// How long a turn whose message has no deadline may take: 5 minutes by default.
    pub turn_timeout: Duration,
    /// How long one store operation may take: 30 s by default.
    pub store_timeout: Duration,
    /// How often idle agents are looked for, and workers that are held by code which blocks: 1 s by default.
    pub sweep_interval: Duration,
    /// Resident bytes over which idle agents are passivated early. Default: 80 % of the machine's or cgroup's memory.
    pub memory_pressure_bytes: u64,
    /// Events that one turn emitted and that wait to be appended to its stream; the oldest make room: 1,000 by default.
    pub max_emitted_events: usize,
    /// Bytes of those events: 1 MiB by default.
    pub max_emitted_bytes: usize,
    /// The longest chain of asks: 16 by default.
    pub max_call_depth: u16,
    /// What happens to failed turns.
    pub supervision: SupervisionConfig,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        let machine = Machine::detect();
        Self {
            max_concurrent_turns: machine.max_concurrent_turns(),
            max_waiting_turns: 200_000,
            max_waiting_bytes: 1 << 30,
            blocking_threads: machine.blocking_threads(),
            turn_timeout: Duration::from_secs(300),
            store_timeout: Duration::from_secs(30),
            sweep_interval: Duration::from_secs(1),
            memory_pressure_bytes: machine.memory_bytes / 10 * 8,
            max_emitted_events: 1_000,
            max_emitted_bytes: 1 << 20,
            max_call_depth: 16,
            supervision: SupervisionConfig::default(),
        }
    }
}

impl RuntimeConfig {
    /// Refuses limits that let no turn run.
    pub(crate) fn check(&self) -> Result<()> {
        let limits = [
            ("max_concurrent_turns", self.max_concurrent_turns),
            ("max_waiting_turns", self.max_waiting_turns),
            ("max_waiting_bytes", self.max_waiting_bytes),
            ("blocking_threads", self.blocking_threads),
        ];
        limits.into_iter().find(|(_, limit)| *limit == 0).map_or(Ok(()), |(option, _)| {
            Err(Error::new(ErrorKind::InvalidInput, "start runtime")
                .with_context("option", option)
                .with_context("reason", "zero lets no turn run"))
        })
    }
}

/// What happens to an event whose turn failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SupervisionConfig {
    /// Attempts before an event is a dead letter: 5 by default.
    pub max_attempts: u32,
    /// The wait before the second attempt, doubled for each further one: 100 ms by default.
    pub backoff: Duration,
    /// The longest wait between attempts: 30 s by default.
    pub max_backoff: Duration,
}

impl Default for SupervisionConfig {
    fn default() -> Self {
        Self { max_attempts: 5, backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(30) }
    }
}

impl SupervisionConfig {
    /// The wait after a failed attempt, counted from 1.
    pub(crate) fn wait_after(&self, attempt: u32) -> Duration {
        let doubled = self.backoff.saturating_mul(1 << attempt.saturating_sub(1).min(20));
        doubled.min(self.max_backoff)
    }
}

/// Options of the agents of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// What a turn has survived when it is acknowledged: `process` by default.
    pub durability: Durability,
    /// Agents that are kept in memory while idle: 100,000 by default.
    pub max_active: usize,
    /// How long an idle agent stays in memory: 5 minutes by default. Messages that arrive reset it.
    pub idle_timeout: Duration,
    /// What one agent's mailbox holds.
    pub mailbox: MailboxLimits,
    /// Which checkpoints stay.
    pub retention: RetentionPolicy,
}

impl Pool {
    /// Agents whose turns survive the death of the process.
    pub fn stateful() -> Self {
        Self::default()
    }

    /// Agents that keep nothing: no store is asked, and a passivated agent starts empty.
    pub fn volatile() -> Self {
        Self { durability: Durability::Volatile, ..Self::default() }
    }

    /// Sets the level of durability.
    #[must_use]
    pub fn with_durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Sets how many idle agents are kept in memory.
    #[must_use]
    pub fn max_active(mut self, agents: usize) -> Self {
        self.max_active = agents;
        self
    }

    /// Sets how long an idle agent stays in memory.
    #[must_use]
    pub fn with_idle_timeout(mut self, idle: Duration) -> Self {
        self.idle_timeout = idle;
        self
    }

    /// Sets what one agent's mailbox holds.
    #[must_use]
    pub fn with_mailbox(mut self, limits: MailboxLimits) -> Self {
        self.mailbox = limits;
        self
    }

    /// Sets which checkpoints stay.
    #[must_use]
    pub fn with_retention(mut self, retention: RetentionPolicy) -> Self {
        self.retention = retention;
        self
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            durability: Durability::Process,
            max_active: 100_000,
            idle_timeout: Duration::from_secs(300),
            mailbox: MailboxLimits::default(),
            retention: RetentionPolicy::default(),
        }
    }
}
