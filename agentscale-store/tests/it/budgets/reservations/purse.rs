//! What one process holds of the budget, as a gateway does: reservations are made in its grant, and one exchange tops up for all
//! that wait.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use agentscale_core::BudgetLedger;
use agentscale_core::budget::{
    Amount, BudgetId, BudgetLimit, BudgetPeriod, BudgetScope, Exchange, GrantLine, Money,
};
use agentscale_core::checkpoint::Epoch;

use super::{LEASE, now};

pub(super) fn budget() -> BudgetId {
    BudgetId::at(BudgetScope::new(Some("acme".try_into().expect("a name"))), BudgetPeriod::Forever, 0)
}

/// Asks for `granted` and no more.
pub(super) fn line(limit: u64, spent: u64, granted: u64) -> GrantLine {
    let tokens = |tokens| Amount::new(tokens, Money::ZERO);
    let least = tokens(granted);
    GrantLine {
        budget: budget(),
        limit: BudgetLimit::of_tokens(limit),
        spent: tokens(spent),
        least,
        most: least,
    }
}

pub(super) struct Purse {
    ledger: Arc<dyn BudgetLedger>,
    epoch: Epoch,
    limit: u64,
    sums: Mutex<Sums>,
    turn: tokio::sync::Mutex<()>,
    exchanges: AtomicU64,
}

#[derive(Clone, Copy, Default)]
struct Sums {
    granted: u64,
    spent: u64,
    reserved: u64,
    wanted: u64,
}

impl Purse {
    pub(super) fn new(ledger: Arc<dyn BudgetLedger>, epoch: Epoch, limit: u64) -> Self {
        Self {
            ledger,
            epoch,
            limit,
            sums: Mutex::default(),
            turn: tokio::sync::Mutex::default(),
            exchanges: AtomicU64::new(0),
        }
    }

    /// Whether there was as much, for as long as it takes to find out.
    pub(super) async fn reserve(&self, tokens: u64) -> bool {
        self.sums().wanted += tokens;
        let mut is_reserved = false;
        for _ in 0..50 {
            is_reserved = self.take(tokens);
            if is_reserved {
                break;
            }
            self.tell().await;
            is_reserved = self.take(tokens);
            if is_reserved {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if !is_reserved {
            self.sums().wanted -= tokens;
        }
        is_reserved
    }

    fn sums(&self) -> MutexGuard<'_, Sums> {
        self.sums.lock().expect("nothing panics under it")
    }

    fn take(&self, tokens: u64) -> bool {
        let mut sums = self.sums();
        let fits = sums.spent + sums.reserved + tokens <= sums.granted;
        if fits {
            sums.reserved += tokens;
            sums.wanted -= tokens;
        }
        fits
    }

    pub(super) fn settle(&self, reserved: u64, spent: u64) {
        let mut sums = self.sums();
        sums.reserved -= reserved;
        sums.spent += spent;
    }

    /// One exchange at a time; one that began behind this call is enough.
    pub(super) async fn tell(&self) {
        let before = self.exchanges.load(Ordering::SeqCst);
        let _turn = self.turn.lock().await;
        if self.exchanges.load(Ordering::SeqCst) > before + 1 {
            return;
        }
        let sequence = self.exchanges.fetch_add(1, Ordering::SeqCst) + 1;
        let sums = *self.sums();
        let lines = vec![line(self.limit, sums.spent, sums.spent + sums.reserved + sums.wanted)];
        let exchange = Exchange::new(self.epoch, sequence, now(), LEASE).with_lines(lines);
        let grants = self.ledger.exchange(exchange).await.expect("the ledger exchanges").grants;
        self.sums().granted = grants[0].granted.tokens;
    }
}
