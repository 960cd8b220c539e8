use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agentscale_core::llm::Usage;

/// What a [`SimulatedProvider`](super::SimulatedProvider) bills. Calls that it refused or failed before the first token cost nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SimulatedBill {
    /// Calls that ended whole, and told their usage.
    pub finished_calls: u64,
    /// The usage of these.
    pub finished: Usage,
    /// Calls that broke off, or whose caller went away.
    pub cut_calls: u64,
    /// What these cost: their input, and what was written of their answers. An answer that is not streamed is written to
    /// its end.
    pub cut: Usage,
}

#[derive(Debug, Default)]
pub(super) struct Bills(Mutex<SimulatedBill>);

/// The price of one call. Dropped, the call was cut.
#[derive(Debug)]
pub(super) struct Billing {
    bills: Arc<Bills>,
    input: u64,
    written: u64,
    open: bool,
}

impl Bills {
    pub(super) fn read(&self) -> SimulatedBill {
        *self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, SimulatedBill> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Billing {
    pub(super) fn new(bills: &Arc<Bills>, input: u64) -> Self {
        Self { bills: Arc::clone(bills), input, written: 0, open: true }
    }

    /// So many tokens more are written.
    pub(super) fn write(&mut self, tokens: u64) {
        self.written += tokens;
    }

    /// The call ended whole.
    pub(super) fn finish(mut self, usage: Usage) {
        self.open = false;
        let mut bill = self.bills.lock();
        bill.finished_calls += 1;
        bill.finished = sum(bill.finished, usage);
    }

    /// The call costs nothing.
    pub(super) fn waive(mut self) {
        self.open = false;
    }
}

impl Drop for Billing {
    fn drop(&mut self) {
        if self.open {
            let mut bill = self.bills.lock();
            bill.cut_calls += 1;
            bill.cut = sum(bill.cut, Usage::new(self.input, self.written));
        }
    }
}

fn sum(one: Usage, other: Usage) -> Usage {
    Usage::new(one.input_tokens + other.input_tokens, one.output_tokens + other.output_tokens)
}
