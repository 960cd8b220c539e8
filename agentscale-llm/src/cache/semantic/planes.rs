use blake3::Hasher;

/// Into how many buckets vectors fall: eight planes through the origin, a bit each.
const PLANES: usize = 8;

/// How many planes, those that a vector lies nearest to, it may have on the wrong side to be found.
const DOUBTFUL: usize = 5;

/// Cuts space into 256 buckets by random planes, the same for the same model at any time (row O5).
///
/// Two vectors of cosine 0.95 lie on one side of a plane in nine of ten cases. A bucket is looked up with those across
/// the planes that the vector lies nearest to: 32 of the 256.
#[derive(Debug)]
pub(super) struct Planes {
    normals: Vec<Vec<f32>>,
}

impl Planes {
    pub(super) fn new(model: &str, dimensions: usize) -> Self {
        let normal = |plane: usize| {
            let mut hasher = Hasher::new();
            hasher.update(&[u8::try_from(plane).unwrap_or(u8::MAX)]).update(model.as_bytes());
            let mut signs = vec![0_u8; dimensions.div_ceil(8)];
            hasher.finalize_xof().fill(&mut signs);
            let sign = |at: usize| if signs[at / 8] >> (at % 8) & 1 == 1 { 1.0 } else { -1.0 };
            (0..dimensions).map(sign).collect()
        };
        Self { normals: (0..PLANES).map(normal).collect() }
    }

    /// The bucket of a vector, and those where near ones may be, the likeliest first.
    pub(super) fn buckets(&self, vector: &[f32]) -> impl Iterator<Item = u8> + use<> {
        let mut sides = self.normals.iter().zip(0..).map(|(normal, bit)| (dot(normal, vector), 1_u8 << bit));
        let mut sides: [(f64, u8); PLANES] = std::array::from_fn(|_| sides.next().unwrap_or_default());
        let own = sides.iter().filter(|(side, _)| *side > 0.0).fold(0, |bucket, (_, bit)| bucket | bit);
        sides.sort_by(|(one, _), (other, _)| one.abs().total_cmp(&other.abs()));
        (0_u8..1 << DOUBTFUL).map(move |subset| {
            let flipped = (0..DOUBTFUL).filter(|at| subset >> at & 1 == 1);
            flipped.fold(own, |bucket, at| bucket ^ sides[at].1)
        })
    }
}

pub(super) fn dot(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn gaussian(random: &mut fastrand::Rng) -> f32 {
        (0..12).map(|_| random.f32()).sum::<f32>() - 6.0
    }

    fn unit(dimensions: usize, random: &mut fastrand::Rng) -> Vec<f32> {
        scaled((0..dimensions).map(|_| gaussian(random)).collect())
    }

    fn scaled(vector: Vec<f32>) -> Vec<f32> {
        let length = dot(&vector, &vector).sqrt() as f32;
        vector.into_iter().map(|x| x / length).collect()
    }

    /// A vector of cosine `cosine` to `to`.
    fn near(to: &[f32], cosine: f32, random: &mut fastrand::Rng) -> Vec<f32> {
        let other = unit(to.len(), random);
        let along = dot(to, &other) as f32;
        let across = scaled(other.iter().zip(to).map(|(x, t)| x - along * t).collect());
        let beside = (1.0 - cosine * cosine).sqrt();
        to.iter().zip(&across).map(|(t, x)| cosine * t + beside * x).collect()
    }

    #[test]
    fn of_pairs_at_the_border_nearly_all_are_found() {
        let mut random = fastrand::Rng::with_seed(7);
        for dimensions in [16, 384] {
            let planes = Planes::new("m", dimensions);
            let pairs = 1_000;
            let found = (0..pairs).filter(|_| {
                let kept = unit(dimensions, &mut random);
                let asked = near(&kept, 0.95, &mut random);
                let bucket = planes.buckets(&kept).next().unwrap();
                planes.buckets(&asked).any(|probe| probe == bucket)
            });
            let recall = found.count() as f64 / f64::from(pairs);
            println!("{dimensions} numbers: {recall}");
            assert!(recall >= 0.97, "{dimensions}: {recall}");
        }
    }

    #[test]
    fn buckets_are_the_same_each_time_and_all_of_them_are_used() {
        let mut random = fastrand::Rng::with_seed(7);
        let vectors: Vec<_> = (0..4_000).map(|_| unit(64, &mut random)).collect();
        let buckets = |model| {
            let planes = Planes::new(model, 64);
            vectors.iter().map(|vector| planes.buckets(vector).next().unwrap()).collect()
        };
        let (once, again, other): (Vec<_>, Vec<_>, Vec<_>) = (buckets("m"), buckets("m"), buckets("n"));
        assert_eq!(once, again);
        assert_ne!(once, other);
        assert_eq!(once.iter().collect::<HashSet<_>>().len(), 256);
        let probes: HashSet<_> = Planes::new("m", 64).buckets(&vectors[0]).collect();
        assert_eq!(probes.len(), 32, "no bucket is looked up twice");
    }
}
