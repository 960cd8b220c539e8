//! The envelope that every transport carries.

mod id;

pub use id::MessageId;
