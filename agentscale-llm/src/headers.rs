//! What providers say in the headers of their answers, read without a network.

mod date;
mod retry;

pub use date::parse_http_date;
pub use retry::RetryHint;
