//! Budgets: never more is spent than they hold, and what is spent is told.

mod charges;
mod ledgers;
mod limits;
mod random;
mod scene;
