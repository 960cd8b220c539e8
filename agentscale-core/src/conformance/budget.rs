//! The promises of [`BudgetLedger`].
//!
//! Write a [`BudgetLedgerHarness`] for the ledger and put
//! `agentscale_core::budget_ledger_conformance!(harness)` into a test module: it becomes one `#[test]` for each promise.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::BudgetLedger;
use crate::testkit::TestServer;

pub mod budgets;
pub mod grants;
pub mod holders;
mod scene;
pub mod usage;

/// Opens ledgers for the suite.
#[async_trait]
pub trait BudgetLedgerHarness: Send + Sync {
    /// An empty ledger. The harness outlives it.
    async fn start(&self) -> Arc<dyn BudgetLedger>;

    /// Lets so much time pass by the clock of a ledger that has its own. The default does nothing, for one that goes by the time
    /// that it is told.
    async fn pass(&self, _time: Duration) {}

    /// The server that the ledgers are on, if any. Without its URL the tests are left out, which is said.
    fn server(&self) -> Option<TestServer> {
        None
    }
}

/// A test of the suite.
pub type BudgetLedgerCase = for<'a> fn(&'a dyn BudgetLedgerHarness) -> Pin<Box<dyn Future<Output = ()> + 'a>>;

/// Runs one test on a runtime of its own.
///
/// # Panics
/// Where the ledger breaks the promise, and as [`TestServer::url`] does.
pub fn run(harness: &dyn BudgetLedgerHarness, case: BudgetLedgerCase) {
    const LIMIT: Duration = Duration::from_secs(300);
    if harness.server().is_some_and(|server| server.url().is_none()) {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().expect("this machine starts runtimes");
    runtime.block_on(async { tokio::time::timeout(LIMIT, case(harness)).await.expect("the test ends") });
}

/// Makes each promise of `BudgetLedger` a `#[test]` over the ledgers of a [`BudgetLedgerHarness`].
#[macro_export]
macro_rules! budget_ledger_conformance {
    ($harness:expr) => {
        $crate::budget_ledger_conformance! { @cases $harness;
            grants::what_is_needed_is_granted_as_far_as_the_limit_goes
            grants::of_what_is_not_needed_an_eighth_of_what_is_left_is_granted
            grants::what_is_not_wanted_goes_back
            grants::a_limit_of_zero_grants_nothing
            grants::tokens_and_money_are_limited_each
            grants::what_has_no_limit_is_counted
            grants::another_limit_holds_from_then_on
            grants::what_was_spent_beyond_a_grant_is_booked_whole
            grants::many_holders_at_once_stay_within_the_limit
            budgets::scopes_and_periods_are_apart
            budgets::one_exchange_has_a_grant_for_each_line
            budgets::a_line_that_makes_no_sense_is_refused_with_all_others
            budgets::a_sum_that_does_not_fit_stops_its_own_budget_alone
            holders::no_two_holders_have_one_epoch
            holders::who_never_joined_is_fenced
            holders::who_leaves_gives_back_what_is_left
            holders::who_knows_what_a_dead_holder_spent_gives_back_the_rest
            holders::who_is_not_heard_of_forfeits_what_it_held
            holders::an_exchange_renews_the_lease
            holders::a_late_settlement_is_fenced_and_changes_nothing
            holders::a_repeated_exchange_has_its_effect_once
            holders::an_older_exchange_is_a_conflict
            usage::what_was_used_is_added_up_by_day_and_model
            usage::an_account_sees_its_own_alone
            usage::records_come_by_pages
            usage::a_count_that_does_not_fit_stays_at_the_largest
        }
    };
    (@cases $harness:expr; $($group:ident::$case:ident)*) => {$(
        #[test]
        fn $case() {
            $crate::conformance::budget::run(&$harness, |harness| {
                Box::pin($crate::conformance::budget::$group::$case(harness))
            });
        }
    )*};
}
