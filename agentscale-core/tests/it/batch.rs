//! Batches keep their bound, and large sets are never in memory as a whole.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use agentscale_core::batch::{Batch, pages};
use agentscale_core::{Error, ErrorKind, Result};
use futures::{Stream, StreamExt, stream};

/// Counts how many there are, and how many there ever were at once.
#[derive(Clone, Debug, Default)]
struct Census(Arc<(AtomicUsize, AtomicUsize)>);

struct Counted(Census, usize);

impl Census {
    fn enter(&self, number: usize) -> Counted {
        let now = self.0.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.0.1.fetch_max(now, Ordering::SeqCst);
        Counted(self.clone(), number)
    }

    fn most(&self) -> usize {
        self.0.1.load(Ordering::SeqCst)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A set of so many, in pages of so many.
fn set(census: &Census, all: usize, page: usize) -> impl Stream<Item = Result<Counted>> + '_ {
    pages(move |after: Option<usize>| async move {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let from = after.unwrap_or(0);
        let until = all.min(from + page);
        Ok(((from..until).map(|number| census.enter(number)).collect(), (until < all).then_some(until)))
    })
}

#[tokio::test(start_paused = true)]
async fn a_set_larger_than_memory_is_worked_on_in_constant_memory_and_with_a_bound() {
    let (items, works) = (Census::default(), Census::default());
    let report = Batch::new(8).run(set(&items, 100_000, 50), |item| {
        let work = works.enter(item.1);
        async move {
            let work = work;
            // Some take long.
            tokio::time::sleep(Duration::from_millis(u64::from(item.1.is_multiple_of(7)) * 10)).await;
            drop((work, item));
            Ok(())
        }
    });
    let report = report.await;
    assert_eq!((report.done, report.failed, report.interrupted.is_none()), (100_000, 0, true));
    assert_eq!(works.most(), 8);
    // A page, and what is worked on.
    assert!(items.most() <= 50 + 8, "{}", items.most());
}

#[tokio::test(start_paused = true)]
async fn every_item_is_given_once_and_in_order_over_pages_that_may_be_empty() {
    let all: Vec<_> = pages(|after: Option<u32>| async move {
        let page = after.unwrap_or(0);
        let items = if page % 2 == 1 { Vec::new() } else { vec![page, page] };
        Ok((items, (page < 4).then_some(page + 1)))
    })
    .map(|item| item.expect("there is no error"))
    .collect()
    .await;
    assert_eq!(all, [0, 0, 2, 2, 4, 4]);
}

#[tokio::test(start_paused = true)]
async fn an_item_that_fails_stops_no_other() {
    let items = stream::iter((0..1_000).map(Ok));
    let work = |number: u32| async move {
        if number.is_multiple_of(10) { Err(Error::new(ErrorKind::Internal, "work")) } else { Ok(()) }
    };
    let report = Batch::new(3).run(items, work).await;
    assert_eq!((report.done, report.failed, report.errors.len()), (900, 100, 16));
}

#[tokio::test(start_paused = true)]
async fn a_source_that_breaks_off_is_told_and_what_it_gave_is_worked_on() {
    let items = pages(|after: Option<u32>| async move {
        match after {
            None => Ok((vec![1, 2, 3], Some(1))),
            Some(_) => Err(Error::new(ErrorKind::Unavailable, "read page")),
        }
    });
    let report = Batch::new(0)
        .run(items, |_: u32| async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            Ok(())
        })
        .await;
    assert_eq!((report.done, report.failed), (3, 0));
    assert_eq!(report.interrupted.map(|error| error.kind()), Some(ErrorKind::Unavailable));
}
