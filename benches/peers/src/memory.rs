use crate::counting::held;
use crate::support::fleet::{Fleet, Handled};
use crate::support::load::{Threads, populated};

/// The bytes requested for each of so many agents that are idle after one message, without their state.
pub(crate) fn idle_agent<F: Fleet>(agents: usize) -> f64 {
    let runtime = Threads::One.runtime();
    runtime.block_on(async {
        let handled = Handled::default();
        // What a process has once, it has after its first fleet.
        populated::<F>(1_000, &handled).await.stop().await;
        let empty = held();
        let handled = Handled::default();
        let fleet: F = populated(agents, &handled).await;
        // A woken agent lingers for a moment before it is passive.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        let bytes = held() - empty;
        fleet.stop().await;
        bytes as f64 / agents as f64 - size_of::<u64>() as f64
    })
}
