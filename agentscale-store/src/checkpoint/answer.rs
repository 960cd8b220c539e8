use agentscale_core::Result;
use tokio::sync::oneshot;

use super::buffered::Receipt;

/// Where the answer of a queued operation goes.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Caller(oneshot::Sender<Result<T>>),
    /// The caller was answered when its commit was queued.
    Buffered(Receipt),
}

impl<T> Answer<T> {
    pub(crate) fn give(self, result: Result<T>) {
        match self {
            // A caller that went away needs no answer.
            Self::Caller(sender) => drop(sender.send(result)),
            Self::Buffered(receipt) => receipt.written(result.err()),
        }
    }
}
