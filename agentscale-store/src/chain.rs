//! How long a chain of deltas may grow before a whole state is written: the same for every store.

/// Deltas may weigh this many times the state that they start from. Each whole state is then more than three times the
/// one before it, all of them together less than 1.5 times the last, and with the deltas themselves a thread that only
/// grows hands 2.5 times its final state to the database.
pub(crate) const TIMES: i64 = 2;

/// Deltas of less than this are worth no whole state.
pub(crate) const SLACK_BYTES: i64 = 64 << 10;

/// Whether the deltas outweigh the state of `base_bytes` that they start from; `chain_bytes` are both.
pub(crate) fn is_long(base_bytes: i64, chain_bytes: i64) -> bool {
    chain_bytes - base_bytes > (TIMES * base_bytes).max(SLACK_BYTES)
}
