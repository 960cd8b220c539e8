use std::fmt::Debug;

use agentscale_core::Result;
use async_trait::async_trait;

use super::{ObservationPage, ObservationQuery, ObservationRecord};

/// Where observations are kept.
#[async_trait]
pub trait ObservationStore: Debug + Send + Sync + 'static {
    /// Writes a batch, all of it or nothing. A record that is there already, by writer and number, is passed over, so that
    /// a batch whose answer was lost can be written again.
    ///
    /// # Errors
    /// `unavailable` and other kinds that are worth another try; any other for a batch that cannot be written.
    async fn append(&self, batch: &[ObservationRecord]) -> Result<()>;

    /// Reads those of one tenant that fit, a page at a time.
    ///
    /// # Errors
    /// `invalid_input` for a query that means nothing; else those of the store.
    async fn query(&self, query: &ObservationQuery) -> Result<ObservationPage>;

    /// Makes room for the months to come and retires those that are too old, by the wall time that it is given. What was
    /// killed half-way goes on where it was; several instances may do this at the same time.
    ///
    /// # Errors
    /// Those of the store and of its archive; nothing is lost then.
    async fn maintain(&self, unix_micros: u64) -> Result<ObservationMaintenance>;

    /// Closes what the store has opened.
    ///
    /// # Errors
    /// Those of the store.
    async fn close(&self) -> Result<()>;
}

/// What maintenance has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ObservationMaintenance {
    /// Months that were made ready, by the names of their tables.
    pub made: Vec<String>,
    /// Months that were archived, or were not to be, and removed.
    pub retired: Vec<String>,
    /// Whether something was left to be done later.
    pub is_busy: bool,
}
