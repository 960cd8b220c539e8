//! Streams of openai-chat, decoded.

#![no_main]

use agentscale_llm::decode::Dialect;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| agentscale_llm_fuzz::decode(Dialect::OpenAiChat, data));
