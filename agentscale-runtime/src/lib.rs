//! Agents, pools and turns: composed from the traits of agentscale-core.
