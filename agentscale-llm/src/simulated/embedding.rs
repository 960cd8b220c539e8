use fastrand::Rng;

use super::plan::normal;

/// A vector of length 1 that depends on the text and the seed alone.
pub(super) fn of(text: &str, seed: u64, dimensions: u32) -> Vec<f32> {
    let mut rng = Rng::with_seed(seed ^ fnv1a(text));
    let draws: Vec<f64> = (0..dimensions).map(|_| normal(&mut rng)).collect();
    let norm = draws.iter().map(|draw| draw * draw).sum::<f64>().sqrt().max(f64::MIN_POSITIVE);
    draws.into_iter().map(|draw| (draw / norm) as f32).collect()
}

/// FNV-1a of 64 bits: the hasher of the standard library may change between its releases.
fn fnv1a(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
