use serde::{Deserialize, Serialize};

use super::invalid;
use crate::Result;

/// The most runs that [`MissedRuns::CatchUp`] makes up for at once.
pub const MAX_CATCH_UP: u32 = 100;

/// What becomes of runs whose time passed while nobody fired them. None is made up for an hour after its time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MissedRuns {
    /// They do not run. A run up to a minute late is not missed.
    Skip,
    /// One job for all of them, at the time of the last one.
    #[default]
    Coalesce,
    /// A job for each, the last ones where there are more.
    CatchUp {
        /// From 1 to [`MAX_CATCH_UP`].
        most: u32,
    },
}

impl MissedRuns {
    /// # Errors
    /// `invalid_input` that names the `field`.
    pub fn check(self) -> Result<()> {
        match self {
            Self::CatchUp { most } if most == 0 || most > MAX_CATCH_UP => {
                Err(invalid("missed", "catches up with 1 to 100 runs").with_context("most", most))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a run begins while the job of an earlier one has not ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Overlap {
    /// Jobs may run side by side.
    #[default]
    Allow,
    /// The run is left out, and recorded as such.
    Skip,
}
