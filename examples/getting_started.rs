//! The program of `docs/getting-started.md`, as it stands there.

use std::time::Duration;

use agentscale::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug)]
struct Tally;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Count {
    total: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Add(u64);

#[async_trait]
impl Agent for Tally {
    type State = Count;

    async fn handle(&self, turn: &mut Turn<'_, Count>, message: &AgentMessage) -> Result<Outcome> {
        let Add(number) = *message.body::<Add>()?;
        turn.state_mut().total += number;
        Ok(turn.reply(turn.state().total))
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let runtime = Runtime::builder()
        .stores(Stores::sqlite(".agentscale").await?)
        .pool("tally", Tally, Pool::stateful())
        .start()
        .await?;

    let tenant = Tenant::new("home")?;
    let alice = runtime.agent(&tenant, "tally", "alice")?;
    for _ in 0..1_000 {
        let total: u64 = alice.ask(Add(1)).await?;
        println!("{total}");
    }
    runtime.drain(Duration::from_secs(10)).await;
    Ok(())
}
