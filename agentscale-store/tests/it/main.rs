//! What the stores promise.

mod bad_input;
mod budgets;
#[cfg(feature = "cache")]
mod cache;
#[cfg(feature = "cache")]
mod cached;
mod conformance;
mod durability;
#[cfg(feature = "encryption")]
mod encrypted;
mod faults;
mod files;
mod jobs;
mod leases;
mod logged;
mod observations;
#[cfg(feature = "redis")]
mod own_redis;
#[cfg(feature = "postgres")]
mod partitions;
#[cfg(feature = "postgres")]
mod postgres;
mod processes;
mod queues;
#[cfg(feature = "redis")]
mod redis_states;
mod retention;
#[cfg(feature = "redis")]
mod runs;
mod same_answers;
mod scene;
#[cfg(feature = "schedules")]
mod schedules;
mod servers;
mod shares;
mod slots;
mod small_disk;
mod torture;
