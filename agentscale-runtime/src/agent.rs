use agentscale_core::knowledge::KnowledgeQuery;
use agentscale_core::{AgentMessage, Body, Result};
use async_trait::async_trait;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Turn;

/// Handles the messages of every agent of one type. What one agent knows is its state; the value that implements
/// this trait is shared by all of them.
///
/// A turn is one call of [`handle`](Self::handle). Its effects leave together when it has committed: the state, the
/// messages sent, the reply. A turn that fails, panics or is cancelled leaves no effect, and the agent loads its
/// last committed state for the next message.
///
/// Within a turn, what must not happen again after a crash is a step: model calls, asks, sleeps and
/// [`Turn::step`]. Steps are numbered as they are begun, so a turn begins them in the same order when it is repeated.
#[async_trait]
pub trait Agent: Send + Sync + 'static {
    /// What one agent knows. Each field of a struct is stored by itself; a list that only grew is stored as what was added.
    type State: Default + Serialize + DeserializeOwned + Send + Sync + 'static;

    /// The version of the state's shape; older states go through the runtime's upcasters.
    const SCHEMA_VERSION: u32 = 1;

    /// What to look up before the turn. The query runs beside the load of the state.
    fn recall(&self, message: &AgentMessage) -> Option<KnowledgeQuery> {
        let _ = message;
        None
    }

    /// Handles one message.
    ///
    /// # Errors
    /// The turn fails: a request's caller gets the error, an event is tried again or becomes a dead letter.
    async fn handle(&self, turn: &mut Turn<'_, Self::State>, message: &AgentMessage) -> Result<Outcome>;
}

/// How a turn ends.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// There is nothing to answer; a request gets an empty reply.
    Done,
    /// The answer to a request.
    Reply(Body),
}
