//! The guide's program is the one that is built as an example.

#[test]
fn the_getting_started_guide_shows_the_program_that_is_built() {
    let guide = include_str!("../../docs/getting-started.md");
    let program = include_str!("../../examples/getting_started.rs");
    let blocks: Vec<_> = guide
        .split("```rust,ignore\n")
        .skip(1)
        .take(2)
        .map(|rest| rest.split_once("```").expect("a block that ends").0)
        .collect();
    let (_, shown) = program.split_once("\n\n").expect("a first comment");
    assert_eq!(blocks.join("\n"), shown);
}
