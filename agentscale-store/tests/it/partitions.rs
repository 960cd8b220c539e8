//! Tables by month on PostgreSQL: what is made ahead, what is retired, and what becomes of it.

mod archive;
mod months;
mod scene;
