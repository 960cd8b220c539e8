//! Events and lines, cut from bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| agentscale_llm_fuzz::sse(data));
