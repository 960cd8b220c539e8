//! What happens is told to an observer, who cannot stand in the way.

use std::sync::Arc;
use std::time::Duration;

use agentscale::core::observe::{ObservationBuffer, ObservationLevel};
use agentscale::prelude::*;
use agentscale::store::InMemoryCheckpointStore;

struct Picky;

#[async_trait]
impl Agent for Picky {
    type State = u64;

    async fn handle(&self, turn: &mut Turn<'_, u64>, message: &AgentMessage) -> Result<Outcome> {
        if *message.body::<u64>()? == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "count"));
        }
        *turn.state_mut() += 1;
        Ok(Outcome::Done)
    }
}

async fn observed(capacity: usize, tell: &[u64]) -> (Arc<ObservationBuffer>, Runtime) {
    let buffer = Arc::new(ObservationBuffer::new(capacity));
    let builder = Runtime::builder().checkpoints(InMemoryCheckpointStore::new()).observer(buffer.clone());
    let runtime = builder.pool("picky", Picky, Pool::stateful()).start().await.unwrap();
    let alice = runtime.agent(&Tenant::new("acme").unwrap(), "picky", "alice").unwrap();
    for number in tell {
        alice.tell(*number).await.unwrap();
    }
    runtime.drain(Duration::from_secs(5)).await;
    (buffer, runtime)
}

#[tokio::test]
async fn finished_and_failed_turns_and_dead_letters_are_told_with_tenant_and_agent() {
    let (buffer, _) = observed(100, &[1, 0, 2]).await;
    let observations = buffer.drain(100).observations;
    let told: Vec<_> = observations.iter().map(|told| (told.level, told.name.as_ref())).collect();
    let expected = [
        (ObservationLevel::Info, "turn.finished"),
        (ObservationLevel::Warning, "turn.failed"),
        (ObservationLevel::Error, "message.dead_lettered"),
        (ObservationLevel::Info, "turn.finished"),
    ];
    assert_eq!(told, expected);
    for observation in &observations {
        assert_eq!(observation.tenant.as_ref().unwrap().as_str(), "acme");
        assert_eq!(observation.agent.as_ref().unwrap().key.as_str(), "alice");
    }
    assert!(observations.windows(2).all(|pair| pair[0].stamp < pair[1].stamp));
}

#[tokio::test]
async fn an_observer_that_nobody_reads_loses_observations_and_no_turn() {
    let (buffer, runtime) = observed(10, &[1; 1_000]).await;
    assert_eq!(runtime.stats().turns, 1_000);
    assert_eq!(buffer.dropped().total(), 990);
}
