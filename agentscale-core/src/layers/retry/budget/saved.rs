use std::sync::atomic::{AtomicU64, Ordering};

/// What calls have paid for and nobody has used, in millionths of a retry.
#[derive(Debug)]
pub(super) struct Saved {
    millionths: AtomicU64,
    most: u64,
}

impl Saved {
    /// The price of a retry.
    pub(super) const RETRY: u64 = 1_000_000;

    pub(super) fn up_to(retries: u32) -> Self {
        Self { millionths: AtomicU64::new(0), most: u64::from(retries) * Self::RETRY }
    }

    /// While nothing fails, all that can be saved is saved, and this is one read.
    #[inline]
    pub(super) fn pay(&self, millionths: u64) {
        let mut saved = self.millionths.load(Ordering::Relaxed);
        while saved < self.most {
            let more = (saved + millionths).min(self.most);
            match self.millionths.compare_exchange_weak(saved, more, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(changed) => saved = changed,
            }
        }
    }

    pub(super) fn try_use(&self) -> bool {
        let less = |saved: u64| saved.checked_sub(Self::RETRY);
        self.millionths.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}
