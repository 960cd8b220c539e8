//! What an idle agent costs: resident memory before and after many of them were made.

use std::ops::Range;

use agentscale::prelude::*;

const AGENTS: u64 = 5_000;

struct Idle;

#[async_trait]
impl Agent for Idle {
    type State = ();

    async fn handle(&self, _: &mut Turn<'_, ()>, _: &AgentMessage) -> Result<Outcome> {
        Ok(Outcome::Done)
    }
}

/// Resident bytes for each idle agent with a key of 16 bytes; `None` where `/proc` does not tell.
pub(crate) async fn bytes_per_idle_agent() -> Result<Option<u64>> {
    let tenant = Tenant::new("probe")?;
    let runtime = Runtime::builder().pool("idle", Idle, Pool::volatile()).start().await?;
    // What the first agents touch once is no cost of the others.
    wake(&runtime, &tenant, 0..AGENTS / 20).await?;
    let before = resident_bytes();
    wake(&runtime, &tenant, AGENTS..2 * AGENTS).await?;
    let after = resident_bytes();
    Ok(before.zip(after).map(|(before, after)| after.saturating_sub(before) / AGENTS))
}

async fn wake(runtime: &Runtime, tenant: &Tenant, agents: Range<u64>) -> Result<()> {
    for agent in agents {
        runtime.agent(tenant, "idle", &format!("{agent:016}"))?.ask::<_, ()>(()).await?;
    }
    Ok(())
}

fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1_024)
}
