//! A gateway's configuration.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| agentscale_llm_fuzz::configuration(data));
