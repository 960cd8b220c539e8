//! Counts the bytes that are requested from the allocator and not given back, and the requests, while memory is
//! measured: where speed is, each allocation would pay for the count.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicIsize, AtomicUsize, Ordering};

pub(crate) struct Counting;

static COUNTS: AtomicBool = AtomicBool::new(false);
static HELD: AtomicIsize = AtomicIsize::new(0);
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// Counts from now on, or no more.
pub(crate) fn count(counts: bool) {
    COUNTS.store(counts, Ordering::SeqCst);
}

/// The bytes held now, as they were requested.
pub(crate) fn held() -> isize {
    HELD.load(Ordering::SeqCst)
}

/// The requests that were counted.
pub(crate) fn allocations() -> usize {
    ALLOCATIONS.load(Ordering::SeqCst)
}

fn change(bytes: usize, sign: isize) {
    if COUNTS.load(Ordering::Relaxed) {
        HELD.fetch_add(sign * bytes as isize, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(usize::from(sign > 0), Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator with the arguments that came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        change(layout.size(), 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        change(layout.size(), 1);
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        change(layout.size(), -1);
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        change(layout.size(), -1);
        change(size, 1);
        unsafe { System.realloc(block, layout, size) }
    }
}
