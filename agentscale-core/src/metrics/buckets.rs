//! Log-linear buckets: every power of two is cut into 16, so that a bucket is at most 6.25 % as wide as its
//! values are large. Values below 32 have a bucket each.

const SUB_BITS: u32 = 4;
const SUB_BUCKETS: usize = 1 << SUB_BITS;

/// How many buckets hold all of `u64`.
pub(crate) const COUNT: usize = (64 - SUB_BITS as usize + 1) * SUB_BUCKETS;

/// The bucket of a value.
#[inline]
pub(crate) fn index(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let octave = value.ilog2() - SUB_BITS;
    let sub = (value >> octave) as usize - SUB_BUCKETS;
    (octave as usize + 1) * SUB_BUCKETS + sub
}

/// The smallest and the largest value of a bucket.
pub(crate) fn bounds(index: usize) -> (u64, u64) {
    let octave = (index / SUB_BUCKETS).saturating_sub(1) as u32;
    let sub = (index - octave as usize * SUB_BUCKETS) as u64;
    let lowest = sub << octave;
    (lowest, lowest + ((1 << octave) - 1))
}

/// What stands for the values of a bucket: at most 3.2 % from any of them.
pub(super) fn middle(index: usize) -> u64 {
    let (lowest, largest) = bounds(index);
    lowest + (largest - lowest).div_ceil(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_buckets_cover_every_value_once_and_in_order() {
        assert_eq!((bounds(0).0, bounds(COUNT - 1).1), (0, u64::MAX));
        for index in 1..COUNT {
            assert_eq!(bounds(index).0, bounds(index - 1).1 + 1, "bucket {index}");
        }
    }

    #[test]
    fn the_ends_of_a_bucket_lie_in_it_and_near_its_middle() {
        for bucket in 0..COUNT {
            let (lowest, largest) = bounds(bucket);
            assert_eq!((index(lowest), index(largest), index(middle(bucket))), (bucket, bucket, bucket));
            let width = (largest - lowest) as f64 + 1.0;
            assert!(bucket < 32 || width <= lowest as f64 * 0.0625, "bucket {bucket}");
            let error = middle(bucket).abs_diff(lowest).max(middle(bucket).abs_diff(largest));
            assert!(error as f64 <= lowest as f64 * 0.032, "bucket {bucket}");
        }
    }
}
