use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use agentscale_core::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};
use tokio::task::JoinHandle;

/// What a [`GroupWriter`] does with the operations that came together.
pub trait Batch: Send + 'static {
    /// One operation, with where its answer goes.
    type Op: Send + 'static;

    /// Writes operations, oldest first, in one transaction, and answers each. Never cancelled.
    fn apply(&mut self, ops: Vec<Self::Op>) -> impl Future<Output = ()> + Send;

    /// Called once, when no more operations come.
    fn close(self) -> impl Future<Output = Result<()>> + Send;
}

/// The bounds of a [`GroupWriter`]'s queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct QueueConfig {
    /// Operations that wait, at most. Default 4,096.
    pub operations: usize,
    /// Their bytes, at most; one larger operation is let in alone. Default 64 MiB.
    pub bytes: usize,
    /// Operations of one transaction, at most. Default 1,024.
    pub batch: usize,
}

impl Default for QueueConfig {
    fn default() -> Self {
        Self { operations: 4_096, bytes: 64 << 20, batch: 1_024 }
    }
}

/// One task that writes for all: while a batch is written, the next one collects. Nothing waits for
/// company.
#[derive(Debug)]
pub struct GroupWriter<Op> {
    queue: mpsc::Sender<Item<Op>>,
    bytes: Arc<Semaphore>,
    most_bytes: u32,
    task: Mutex<Option<JoinHandle<Result<()>>>>,
}

#[derive(Debug)]
enum Item<Op> {
    Op(Op, OwnedSemaphorePermit),
    Close,
}

impl<Op: Send + 'static> GroupWriter<Op> {
    /// Starts the task. It ends when the writer is closed or dropped and what was queued is written.
    pub fn spawn(batch: impl Batch<Op = Op>, config: &QueueConfig) -> Self {
        let (queue, items) = mpsc::channel(config.operations.max(1));
        let most_bytes = u32::try_from(config.bytes.max(1)).unwrap_or(u32::MAX);
        let task = tokio::spawn(run(batch, items, config.batch.max(1)));
        Self {
            queue,
            bytes: Arc::new(Semaphore::new(most_bytes as usize)),
            most_bytes,
            task: Mutex::new(Some(task)),
        }
    }

    /// Queues an operation of so many bytes; waits while the queue is full.
    ///
    /// # Errors
    /// `unavailable` once the writer is closed.
    ///
    /// # Cancel safety
    /// A dropped future has queued nothing.
    pub async fn submit(&self, op: Op, bytes: usize) -> Result<()> {
        let permit = match self.bytes.clone().try_acquire_many_owned(self.permits(bytes)) {
            Ok(permit) => permit,
            Err(TryAcquireError::NoPermits) => {
                self.bytes.clone().acquire_many_owned(self.permits(bytes)).await.map_err(|_| closed())?
            }
            Err(TryAcquireError::Closed) => return Err(closed()),
        };
        self.queue.send(Item::Op(op, permit)).await.map_err(|_| closed())
    }

    /// Writes what is queued and ends the task. Operations that come later are `unavailable`.
    ///
    /// # Errors
    /// Those of [`Batch::close`], at the first call.
    pub async fn close(&self) -> Result<()> {
        // A queue that is closed already has its end in sight.
        let _ = self.queue.send(Item::Close).await;
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        match task {
            Some(task) => task
                .await
                .map_err(|error| Error::new(ErrorKind::Internal, "close writer").with_source(error))?,
            None => Ok(()),
        }
    }

    fn permits(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(1, self.most_bytes)
    }
}

async fn run<B: Batch>(mut batch: B, mut items: mpsc::Receiver<Item<B::Op>>, most: usize) -> Result<()> {
    let mut received = Vec::with_capacity(most);
    while items.recv_many(&mut received, most).await > 0 {
        let mut ops = Vec::with_capacity(received.len());
        let mut permits = Vec::with_capacity(received.len());
        for item in received.drain(..) {
            match item {
                Item::Op(op, permit) => {
                    ops.push(op);
                    permits.push(permit);
                }
                // What stands in the queue is still received and written.
                Item::Close => items.close(),
            }
        }
        if !ops.is_empty() {
            batch.apply(ops).await;
        }
        drop(permits);
        // Those just answered may have their next operation ready: let them queue it first.
        tokio::task::yield_now().await;
    }
    batch.close().await
}

fn closed() -> Error {
    Error::new(ErrorKind::Unavailable, "write").with_context("reason", "closed")
}
