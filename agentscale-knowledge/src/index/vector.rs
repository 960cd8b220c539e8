//! Arithmetic on vectors and the bytes they are stored as.

use std::borrow::Cow;

/// `vector` scaled to length one, or `None` where it has none: zero, or not finite.
pub(crate) fn unit(vector: &[f32]) -> Option<Cow<'_, [f32]>> {
    let norm = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt();
    if !norm.is_finite() || norm == 0.0 {
        return None;
    }
    if (norm - 1.0).abs() < 1e-6 {
        return Some(Cow::Borrowed(vector));
    }
    Some(Cow::Owned(vector.iter().map(|x| (f64::from(*x) / norm) as f32).collect()))
}

/// Little-endian `f32`s.
pub(crate) fn to_bytes(vector: &[f32]) -> Vec<u8> {
    vector.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// The reverse of [`to_bytes`]; a last odd byte is ignored.
pub(crate) fn from_bytes(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(lane).collect()
}

/// The inner product: cosine similarity where both have length one.
pub(crate) fn dot(query: &[f32], vector: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let (queries, stored) = (query.chunks_exact(LANES), vector.chunks_exact(LANES));
    let rest: f32 = queries.remainder().iter().zip(stored.remainder()).map(|(x, y)| x * y).sum();
    for (x, y) in queries.zip(stored) {
        sums.iter_mut().zip(x).zip(y).for_each(|((sum, x), y)| *sum += x * y);
    }
    sums.iter().sum::<f32>() + rest
}

/// The inner product with a vector still in its bytes: cosine similarity where both have length one.
pub(crate) fn dot_bytes(query: &[f32], bytes: &[u8]) -> f32 {
    const LANES: usize = 16;
    let mut sums = [0.0f32; LANES];
    let queries = query.chunks_exact(LANES);
    let stored = bytes.chunks_exact(4 * LANES);
    let rest: f32 =
        queries.remainder().iter().zip(stored.remainder().chunks_exact(4)).map(|(x, y)| x * lane(y)).sum();
    for (x, y) in queries.zip(stored) {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum += x[i] * lane(&y[4 * i..4 * i + 4]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

fn lane(bytes: &[u8]) -> f32 {
    f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_equal_the_plain_one_for_any_length() {
        for length in [1, 15, 16, 17, 384] {
            let a: Vec<f32> = (0..length).map(|i| i as f32 - 3.0).collect();
            let b: Vec<f32> = (0..length).map(|i| 2.0 - i as f32).collect();
            let plain: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
            let relative = (dot_bytes(&a, &to_bytes(&b)) - plain).abs() / plain.abs().max(1.0);
            assert!(relative < 1e-4, "length {length}");
            let relative = (dot(&a, &b) - plain).abs() / plain.abs().max(1.0);
            assert!(relative < 1e-4, "length {length}");
            assert_eq!(from_bytes(&to_bytes(&b)), b);
        }
    }

    #[test]
    fn a_vector_without_direction_has_no_unit() {
        assert_eq!(unit(&[0.0, 0.0]), None);
        assert_eq!(unit(&[f32::NAN, 1.0]), None);
        assert_eq!(unit(&[3.0, 4.0]).as_deref(), Some(&[0.6, 0.8][..]));
    }
}
