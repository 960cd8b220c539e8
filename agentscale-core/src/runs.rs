//! The events of a run while it goes on: text as it comes, tools as they are called, progress.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;

use crate::Result;
pub use crate::checkpoint::{Epoch, TurnId};
pub use crate::ids::EventName;

mod event;
mod follow;
mod id;
mod in_process;
mod limits;
mod page;
mod request;

pub use event::{NewEvent, RunEvent};
pub use follow::RunFollower;
pub use id::{EventId, RunId};
pub use in_process::{InProcessRunStreams, InProcessRunStreamsConfig, RunStreamsStats};
pub use limits::RunStreamLimits;
pub use page::{RunItem, RunPage};
pub use request::{AppendEvents, OpenRun, ReadEvents, ended, from_the_future, stale};

/// Keeps one stream of events for each run, for a while: for those who look on, and who come back after their
/// connection was lost.
///
/// The one who runs a run numbers its events from 1 on. Their ids are the epoch under which it runs and that number, so
/// that ids rise over all owners, and whatever is missing shows: events that were never appended, that made room for
/// newer ones, or that a server lost. Whoever reads is told of it by a [`RunItem::Gap`] in their place.
///
/// # For callers
/// A stream is a view of a run and no record of it: it is bounded, it ends [`RunStreamLimits::ttl`] after its run last
/// appended or renewed, and a store may lose it. What must not be lost belongs into a commit. A run that is repeated by
/// another owner writes its events again under a higher epoch; who shows them drops what it showed of a lower one.
///
/// # For implementors
/// Each operation is atomic. A stream that is gone comes into being again with the next append, whatever its number; what
/// was before it is a gap. [`RunPage::new`] finds the gaps. The promises are the named tests of the conformance suite
/// (feature `conformance`); [`stale`], [`ended`] and [`from_the_future`] make the errors.
///
/// # Cancel safety
/// A dropped future leaves the operation done or not done. An append whose answer was lost is repeated as it was.
#[async_trait]
pub trait RunStreams: Debug + Send + Sync + 'static {
    /// What a stream holds, and for how long.
    fn limits(&self) -> &RunStreamLimits;

    /// Begins a run's stream under an epoch, or goes on with one: the number of the next event. Older owners are refused
    /// from now on. A stream that had ended goes on.
    ///
    /// # Errors
    /// `fenced` where a newer epoch opened it; `unavailable`.
    async fn open(&self, request: OpenRun) -> Result<u64>;

    /// Adds events behind those that are there; those whose numbers are there already are not added again.
    ///
    /// # Errors
    /// `fenced` where a newer epoch opened the stream; `conflict` behind its end; `too_large` for an event over the limit,
    /// with which none is added; `invalid_input` as [`AppendEvents::check`] says; `unavailable`.
    async fn append(&self, request: AppendEvents) -> Result<()>;

    /// Keeps a stream for its time from now on, though nothing be appended.
    ///
    /// # Errors
    /// `fenced` where a newer epoch opened it; `not_found`; `unavailable`.
    async fn renew(&self, run: &RunId, epoch: Epoch) -> Result<()>;

    /// What stands behind an id. Where nothing does, and the stream has not ended, it is waited for as long as is asked.
    ///
    /// # Errors
    /// `not_found` where the stream has not begun by the end of the wait, or is gone; `invalid_input` for an id from the
    /// future; `unavailable`.
    async fn read(&self, request: ReadEvents) -> Result<RunPage>;
}

macro_rules! forward {
    ($($pointer:ident)*) => {$(
        #[async_trait]
        #[deny(clippy::missing_trait_methods)]
        impl<T: RunStreams + ?Sized> RunStreams for $pointer<T> {
            fn limits(&self) -> &RunStreamLimits {
                (**self).limits()
            }
            async fn open(&self, request: OpenRun) -> Result<u64> {
                (**self).open(request).await
            }
            async fn append(&self, request: AppendEvents) -> Result<()> {
                (**self).append(request).await
            }
            async fn renew(&self, run: &RunId, epoch: Epoch) -> Result<()> {
                (**self).renew(run, epoch).await
            }
            async fn read(&self, request: ReadEvents) -> Result<RunPage> {
                (**self).read(request).await
            }
        }
    )*};
}

forward!(Arc Box);
