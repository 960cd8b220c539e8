//! What providers say in the headers of their answers, read without a network.

mod anthropic;
mod date;
mod go_duration;
mod openai;
mod retry;

pub use anthropic::anthropic_rate_limits;
pub(crate) use date::days_from_epoch;
pub use date::{parse_http_date, parse_rfc3339};
pub use go_duration::parse_go_duration;
pub use openai::openai_rate_limits;
pub use retry::RetryHint;
