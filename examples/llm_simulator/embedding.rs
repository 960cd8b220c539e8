//! Vectors of length 1. Texts that share words lie closer together; equal texts are equal.

/// What the whole text adds, so that texts of the same words in another order differ.
const WHOLE: f32 = 0.2;

pub(crate) fn vector(model: &str, text: &str, dimensions: usize) -> Vec<f32> {
    let mut vector = vec![0.0; dimensions];
    add(&mut vector, model, text, WHOLE);
    for word in text.split(|character: char| !character.is_alphanumeric()).filter(|word| !word.is_empty()) {
        add(&mut vector, model, &word.to_lowercase(), 1.0);
    }
    let length = vector.iter().map(|number| number * number).sum::<f32>().sqrt();
    vector.iter().map(|number| number / length).collect()
}

fn add(vector: &mut [f32], model: &str, text: &str, weight: f32) {
    let mut hash = blake3::Hasher::new();
    hash.update(model.as_bytes()).update(&[0]).update(text.as_bytes());
    let mut seed = [0; 8];
    hash.finalize_xof().fill(&mut seed);
    let mut draws = fastrand::Rng::with_seed(u64::from_le_bytes(seed));
    for number in vector {
        *number += (draws.f32() - 0.5) * weight;
    }
}

/// As numbers of eight digits: what a 32-bit number holds, and no longer than the providers' own.
pub(crate) fn json(vector: &[f32]) -> serde_json::Value {
    vector.iter().map(|number| (f64::from(*number) * 1e8).round() / 1e8).collect()
}
