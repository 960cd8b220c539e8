use std::fmt::Debug;

use agentscale_core::{Json, Result};

/// How the values of a field become one, where the application knows better than to take the last write.
///
/// Callers merge a value with another of the same field, in any order and as often as they like.
///
/// Implementors give the same result whichever order the values come in and however they are grouped, and give back a
/// value that is merged with itself: sets that only grow, the greatest, the longest. A field with a merge of its own is
/// never removed: a removal counts for nothing beside a value.
///
/// ```
/// use agentscale_core::{Json, Result};
/// use agentscale_store::merge::FieldMerge;
///
/// /// The greater number; else the last write.
/// #[derive(Debug)]
/// struct HighScore;
///
/// impl FieldMerge for HighScore {
///     fn merges(&self, field: &str) -> bool {
///         field == "high_score"
///     }
///
///     fn merge(&self, _: &str, left: &Json, right: &Json) -> Result<Json> {
///         Json::encode(&left.decode::<u64>()?.max(right.decode()?))
///     }
/// }
/// ```
pub trait FieldMerge: Debug {
    /// Whether a field is merged here; of every other one the last write counts.
    fn merges(&self, field: &str) -> bool;

    /// One value out of two.
    ///
    /// # Errors
    /// `corrupt` or `invalid_input` for values that cannot be read. Nothing of the record is merged then.
    fn merge(&self, field: &str, left: &Json, right: &Json) -> Result<Json>;
}

/// Of every field the last write counts.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastWrite;

impl FieldMerge for LastWrite {
    fn merges(&self, _: &str) -> bool {
        false
    }

    fn merge(&self, _: &str, left: &Json, _: &Json) -> Result<Json> {
        Ok(left.clone())
    }
}
