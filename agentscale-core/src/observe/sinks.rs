//! Observers that keep nothing.

use std::sync::Arc;

use super::{Observation, ObservationLevel, Observer};

/// Hears nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NullObserver;

impl Observer for NullObserver {
    fn emit(&self, _: Observation) {}
}

/// Writes observations as `tracing` events of the target `agentscale`, with tenant and agent. Whether that returns at
/// once depends on the host's subscriber.
#[derive(Clone, Copy, Debug, Default)]
pub struct TracingObserver;

impl Observer for TracingObserver {
    fn emit(&self, observation: Observation) {
        macro_rules! event {
            ($level:ident) => {
                tracing::event!(
                    target: "agentscale",
                    tracing::Level::$level,
                    name = observation.name.as_ref(),
                    stamp = ?observation.stamp,
                    tenant = observation.tenant.as_ref().map(tracing::field::display),
                    agent_type = observation.agent.as_ref().map(|agent| agent.agent_type.as_str()),
                    agent = observation.agent.as_ref().map(|agent| agent.key.as_str()),
                    task = observation.task.as_ref().map(tracing::field::display),
                    trace = observation.trace.as_ref().map(tracing::field::display),
                    fields = ?observation.fields,
                )
            };
        }
        match observation.level {
            ObservationLevel::Debug => event!(DEBUG),
            ObservationLevel::Info => event!(INFO),
            ObservationLevel::Warning => event!(WARN),
            ObservationLevel::Error => event!(ERROR),
        }
    }
}

/// Tells several observers, in order.
#[derive(Clone, Debug, Default)]
pub struct FanOutObserver {
    observers: Vec<Arc<dyn Observer>>,
}

impl FanOutObserver {
    /// Tells all of `observers`.
    pub fn new(observers: Vec<Arc<dyn Observer>>) -> Self {
        Self { observers }
    }
}

impl Observer for FanOutObserver {
    fn emit(&self, observation: Observation) {
        if let Some((last, others)) = self.observers.split_last() {
            for observer in others {
                observer.emit(observation.clone());
            }
            last.emit(observation);
        }
    }
}

/// Stands before an observer that tenants share: it is told what happened, not to whom.
#[derive(Clone, Copy, Debug)]
pub struct AnonymousObserver<O> {
    inner: O,
}

impl<O: Observer> AnonymousObserver<O> {
    /// Hides the tenants from `inner`.
    pub fn new(inner: O) -> Self {
        Self { inner }
    }
}

impl<O: Observer> Observer for AnonymousObserver<O> {
    fn emit(&self, observation: Observation) {
        self.inner.emit(observation.anonymous());
    }
}
