//! Budgets: never more is spent than they hold, and what is spent is told.

mod charges;
mod ledgers;
mod limits;
mod random;
pub(crate) mod scene;
