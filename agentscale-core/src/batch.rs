//! Sets larger than memory: read page by page, and worked on with a bound.
//!
//! ```
//! use agentscale_core::batch::{Batch, pages};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! // Ten pages of three projects; a page names the one behind it.
//! let projects = pages(|after: Option<u32>| async move {
//!     let page = after.unwrap_or(0);
//!     let projects = (page * 3..page * 3 + 3).collect();
//!     Ok((projects, (page < 9).then_some(page + 1)))
//! });
//! let checked = Batch::new(4).run(projects, |project: u32| async move {
//!     // What is asked of each: four at a time.
//!     let _ = project;
//!     Ok(())
//! });
//! let report = checked.await;
//! assert_eq!((report.done, report.failed), (30, 0));
//! assert!(report.interrupted.is_none());
//! # }
//! ```

use std::future::ready;

use futures::stream::{self, Stream, StreamExt, TryStreamExt};

use crate::checkpoint::{ThreadInfo, ThreadQuery};
use crate::knowledge::{ScanRequest, StoredEntry};
use crate::{CheckpointStore, Error, KnowledgeClient, Result};

/// Errors that a report keeps.
const ERRORS: usize = 16;

/// All items of a source that gives them page by page: asked for the first page with `None`, it says with each page how
/// to ask for the next one. A page is asked for once all of that before it was taken, so that one is in memory.
///
/// An error ends the stream.
pub fn pages<T, C, F>(mut page: impl FnMut(Option<C>) -> F) -> impl Stream<Item = Result<T>>
where
    F: Future<Output = Result<(Vec<T>, Option<C>)>>,
{
    stream::try_unfold(Some(None), move |at: Option<Option<C>>| {
        let asked = at.map(&mut page);
        async move {
            let Some(asked) = asked else { return Ok::<_, Error>(None) };
            let (items, next) = asked.await?;
            Ok(Some((stream::iter(items.into_iter().map(Ok)), next.map(Some))))
        }
    })
    .try_flatten()
}

/// The threads of a store that a query names, [`ThreadQuery::limit`] at a time.
pub fn threads<S: CheckpointStore>(store: &S, query: ThreadQuery) -> impl Stream<Item = Result<ThreadInfo>> {
    pages(move |after| {
        let query = ThreadQuery { after: after.or_else(|| query.after.clone()), ..query.clone() };
        async move { store.threads(query).await.map(|page| (page.threads, page.next)) }
    })
}

/// The entries that a scan names, [`ScanRequest::limit`] at a time.
pub fn entries<K: KnowledgeClient>(
    knowledge: &K,
    request: ScanRequest,
) -> impl Stream<Item = Result<StoredEntry>> {
    pages(move |after| {
        let request = ScanRequest { after: after.or_else(|| request.after.clone()), ..request.clone() };
        async move { knowledge.scan(request).await.map(|page| (page.entries, page.next)) }
    })
}

/// Works on many items, so many at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    at_a_time: usize,
}

/// What became of a batch.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
#[must_use]
pub struct BatchReport {
    /// Items whose work succeeded.
    pub done: u64,
    /// Items whose work failed.
    pub failed: u64,
    /// The first errors of those, 16 at most.
    pub errors: Vec<Error>,
    /// The error with which the source broke off; what it would have given was not worked on.
    pub interrupted: Option<Error>,
}

impl Batch {
    /// Works on up to so many items at a time, one at least.
    pub fn new(at_a_time: usize) -> Self {
        Self { at_a_time: at_a_time.max(1) }
    }

    /// Works on every item. One that fails is counted and stops no other; the next one is taken from the source when there
    /// is room for it, so that the items in memory are those that are worked on and what the source holds itself.
    ///
    /// All work runs in the task of the caller: what computes for long belongs into a task of its own.
    ///
    /// # Cancel safety
    /// Dropping the future drops the work under way; what is done stays done.
    pub async fn run<T, F>(
        self,
        items: impl Stream<Item = Result<T>>,
        mut work: impl FnMut(T) -> F,
    ) -> BatchReport
    where
        F: Future<Output = Result<()>>,
    {
        let mut interrupted = None;
        let taken = items.scan((), |(), item| ready(item.map_err(|error| interrupted = Some(error)).ok()));
        let report = taken.map(&mut work).buffer_unordered(self.at_a_time);
        let mut report = report
            .fold(BatchReport::default(), |mut report, outcome| {
                report.count(outcome);
                ready(report)
            })
            .await;
        report.interrupted = interrupted;
        report
    }
}

impl BatchReport {
    fn count(&mut self, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.done += 1,
            Err(error) => {
                self.failed += 1;
                if self.errors.len() < ERRORS {
                    self.errors.push(error);
                }
            }
        }
    }
}
