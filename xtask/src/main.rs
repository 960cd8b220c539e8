//! Chores of the workspace as code.

fn main() {}
