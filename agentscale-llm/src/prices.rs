//! What models cost.

mod price;
mod table;

pub use price::{LongInput, ModelPrice, Price};
pub use table::{PriceEntry, PriceTable};
