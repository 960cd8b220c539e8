//! Records whose fields are written in several places, and merged.
//!
//! Each field has the [`Stamp`](agentscale_core::Stamp) of its last write: the hybrid logical clock's time, then the
//! node, say which of two writes counts, whatever order they arrive in. Replicas that have seen the same writes are the
//! same. A field for which the last write is not enough has [a merge of its own](FieldMerge).
//!
//! Not for what only one may change: that is a lease's or a checkpoint's matter, which refuse the second.
//!
//! ```
//! use agentscale_core::{HybridClock, Json};
//! use agentscale_store::merge::{LastWrite, Record};
//!
//! # fn main() -> agentscale_core::Result<()> {
//! let (here, there) = (HybridClock::new(1), HybridClock::new(2));
//! let mut profile = Record::new();
//! profile.set("name", Json::encode("Ada")?, here.stamp(1_000));
//! let mut replica = profile.clone();
//!
//! replica.set("name", Json::encode("Ada L.")?, there.stamp(3_000));
//! profile.set("city", Json::encode("London")?, here.stamp(2_000));
//! profile.merge(&replica, &LastWrite)?;
//! replica.merge(&profile, &LastWrite)?;
//! assert_eq!(profile, replica);
//! assert_eq!(profile.value("name").map(Json::as_str), Some("\"Ada L.\""));
//! # Ok(())
//! # }
//! ```

mod field;
mod policy;
mod record;

pub use field::Field;
pub use policy::{FieldMerge, LastWrite};
pub use record::Record;

#[cfg(test)]
mod tests;
