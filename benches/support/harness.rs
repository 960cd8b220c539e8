//! What the benchmarks of the runtime share: fleets of agents built in several ways, the same loads for each of them,
//! and a table of figures beside what they must reach.

pub(crate) mod agentscale_fleet;
pub(crate) mod fleet;
pub(crate) mod load;
pub(crate) mod rounds;
pub(crate) mod table;
pub(crate) mod task_fleet;
