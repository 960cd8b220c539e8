//! What the fuzz targets check. `CONTRIBUTING.md` says how they are run.

mod configurations;
mod decoders;
mod framing;
mod parsers;

pub use configurations::configuration;
pub use decoders::decode;
pub use framing::sse;
pub use parsers::headers;

/// Cuts the data where its own bytes say, so that a stream is an input as it is.
fn cut(data: &[u8]) -> Vec<&[u8]> {
    // FNV-1a, then xorshift.
    let mut state = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let longest = 1 + (state % 64) as usize;
    let (mut parts, mut rest) = (Vec::new(), data);
    while !rest.is_empty() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let (part, behind) = rest.split_at(rest.len().min((state as usize) % (longest + 1)));
        parts.push(part);
        rest = behind;
    }
    parts
}
