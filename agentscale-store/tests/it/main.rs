//! What the stores promise.

mod durability;
