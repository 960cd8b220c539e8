//! What the stores of checkpoints on SQL share.

pub(crate) mod answer;
pub(crate) mod buffered;
pub(crate) mod chains;
pub(crate) mod check;
pub(crate) mod codec;
pub(crate) mod due;
pub(crate) mod names;
pub(crate) mod refusal;
pub(crate) mod stats;
pub(crate) mod stored;
