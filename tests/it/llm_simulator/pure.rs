//! The parts of the simulator that are pure: their own tests run here, as cargo runs none of an example's.

#[path = "../../../examples/llm_simulator/limits/bucket.rs"]
#[allow(dead_code, reason = "the simulator uses the rest")]
mod bucket;
#[path = "../../../examples/llm_simulator/clock.rs"]
#[allow(dead_code, reason = "the simulator uses the rest")]
mod clock;
#[path = "../../../examples/llm_simulator/limits/slots.rs"]
#[allow(dead_code, reason = "the simulator uses the rest")]
mod slots;
#[path = "../../../examples/llm_simulator/limits/window.rs"]
#[allow(dead_code, reason = "the simulator uses the rest")]
mod window;
