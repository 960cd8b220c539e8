//! What a turn says once its commit is out of this machine's log: reply, messages, acknowledgement. The agent goes on.

use std::sync::Arc;
use std::time::Duration;

use agentscale_core::Result;
use agentscale_core::checkpoint::{BarrierRequest, CheckpointStore, Durability};
use agentscale_core::transport::ReplyTo;
use agentscale_core::{AgentMessage, Body, Error, ErrorKind};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::AgentPool;
use super::activation::Kept;
use super::slot::Queued;
use super::woken::Done;
use crate::agent::Agent;
use crate::patience::within;

/// That an agent's turns leave in their order.
#[derive(Debug)]
pub(super) struct Later {
    barrier: BarrierRequest,
    /// Ends when what the turn before says has left.
    before: Option<oneshot::Receiver<()>>,
    /// Tells the turn behind that it has left.
    left: oneshot::Sender<()>,
}

impl Kept {
    /// Whether what a turn says has to wait: the log alone has its commit, or that of a turn before it, whose state it
    /// saw.
    pub(super) fn leaves_later(&mut self, level: Option<Durability>) -> Option<Box<Later>> {
        let (before, is_open) = match self.leaving.take().map(|mut before| (before.try_recv(), before)) {
            Some((Err(TryRecvError::Empty), before)) => (Some(before), true),
            // What it says never left: nor does what builds on it.
            Some((Err(TryRecvError::Closed), _)) => (None, true),
            Some((Ok(()), _)) | None => (None, false),
        };
        if !is_open && level != Some(Durability::Local) {
            return None;
        }
        let (left, leaving) = oneshot::channel();
        self.leaving = Some(leaving);
        let barrier = BarrierRequest::new(self.thread.clone(), self.epoch, self.version);
        Some(Box::new(Later { barrier, before, left }))
    }
}

impl<A: Agent> AgentPool<A> {
    /// Takes what is left of a turn out of the hands of its worker. It counts as admitted until it has left.
    pub(super) fn leave_later(
        self: &Arc<Self>,
        queued: Queued,
        reply_to: Option<ReplyTo>,
        done: Done,
        later: Later,
    ) {
        let pool = self.clone();
        let leave = async move { pool.leave_after(queued, reply_to, done, later).await };
        self.runtime.tasks.spawn_on(leave, &self.runtime.tokio);
    }

    async fn leave_after(
        self: Arc<Self>,
        queued: Queued,
        reply_to: Option<ReplyTo>,
        done: Done,
        mut later: Later,
    ) {
        let Some(store) = self.store() else { return };
        if let Some(before) = later.before.take() {
            // That it has ended is enough.
            let _ = before.await;
        }
        let Done { body, outbox, settled, .. } = done;
        match self.pass(store.as_ref(), &later.barrier).await {
            Ok(()) => {
                let message = &queued.delivery.message;
                if let Some(reply_to) = reply_to {
                    // A caller that has gone misses its reply; a repeated request gets the recorded one.
                    let body = body.unwrap_or_else(Body::empty);
                    reply_to.send(Ok(message.reply(body, self.runtime.stamp())));
                }
                self.runtime.outbox.leave(message.id, settled, outbox, true).await;
                queued.emission.end(None);
                self.observe_turn(message);
                queued.delivery.ack();
                // Nobody listens where the agent is out of memory.
                let _ = later.left.send(());
            }
            Err(error) => self.stay(queued, reply_to, &outbox, error).await,
        }
    }

    /// Waits for as long as the runtime runs, and a little longer.
    async fn pass(&self, store: &dyn CheckpointStore, barrier: &BarrierRequest) -> Result<()> {
        tokio::select! {
            biased;
            passed = store.barrier(barrier.clone()) => passed,
            () = self.runtime.stop.cancelled() => {
                within(self.runtime.patience(), "await barrier", store.barrier(barrier.clone())).await
            }
        }
    }

    async fn stay(
        self: &Arc<Self>,
        queued: Queued,
        reply_to: Option<ReplyTo>,
        outbox: &[AgentMessage],
        error: Error,
    ) {
        let sent: Vec<_> = outbox.iter().map(|message| message.id).collect();
        self.runtime.outbox.leave_behind(&sent);
        if error.kind() == ErrorKind::Fenced {
            // The turn never was.
            return self.failed(queued, reply_to, error).await;
        }
        // Its commit follows at the next start, and what it sends after it.
        tracing::warn!(agent_type = %self.agent_type, message = %queued.delivery.message.id, %error, "turn waits in the log");
        if let Some(reply_to) = reply_to {
            reply_to.send(Err(error));
        }
        queued.delivery.nak(Duration::ZERO);
    }
}
