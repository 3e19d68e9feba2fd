//! A histogram of durations with logarithmic buckets: any value to better than one percent, in a few KiB.
//!
//! The layout is that of HdrHistogram with seven bits of precision. It is forty lines and needs no tuning, so it is
//! ours rather than a dependency's.

use std::time::Duration;

/// Every power of two is cut into this many buckets (as a power of two): an error of at most 1/128.
const PRECISION_BITS: u32 = 7;

/// Counts of durations. Recording is a few instructions; the buckets grow to the largest value seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Histogram {
    /// Counts one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let bucket = bucket_of(ns);
        if bucket >= self.buckets.len() {
            self.buckets.resize(bucket + 1, 0);
        }
        self.buckets[bucket] += 1;
        self.count += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// Adds all that `other` counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        if other.buckets.len() > self.buckets.len() {
            self.buckets.resize(other.buckets.len(), 0);
        }
        for (mine, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *mine += theirs;
        }
        self.count += other.count;
        self.max_ns = self.max_ns.max(other.max_ns);
    }

    /// How many durations were counted.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The largest, in microseconds; 0 when nothing was counted.
    pub(crate) fn max_us(&self) -> f64 {
        self.max_ns as f64 / 1e3
    }

    /// The duration that `quantile` (0 to 1) of all stay at or below, in microseconds; 0 when nothing was counted.
    pub(crate) fn quantile_us(&self, quantile: f64) -> f64 {
        let rank = ((quantile * self.count as f64).ceil() as u64).clamp(1, self.count.max(1));
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return top_of(bucket).min(self.max_ns) as f64 / 1e3;
            }
        }
        0.0
    }
}

fn bucket_of(ns: u64) -> usize {
    let shift = (u64::BITS - ns.leading_zeros()).saturating_sub(PRECISION_BITS + 1);
    ((shift as usize) << PRECISION_BITS) + (ns >> shift) as usize
}

/// The largest value that falls into `bucket`.
fn top_of(bucket: usize) -> u64 {
    let shift = (bucket >> PRECISION_BITS).saturating_sub(1);
    let step = (bucket - (shift << PRECISION_BITS)) as u64;
    (step << shift) + ((1_u64 << shift) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values_us: impl IntoIterator<Item = u64>) -> Histogram {
        let mut histogram = Histogram::default();
        for us in values_us {
            histogram.record(Duration::from_micros(us));
        }
        histogram
    }

    fn assert_near(actual: f64, expected: f64) {
        assert!((actual - expected).abs() <= expected / 100.0, "{actual} is not within 1 % of {expected}");
    }

    #[test]
    fn every_value_lies_in_its_bucket_within_a_percent() {
        for ns in (0..63).flat_map(|bit| [1_u64 << bit, (1 << bit) + (1 << bit) / 3, (1 << bit) * 2 - 1]) {
            let top = top_of(bucket_of(ns));
            assert!(top >= ns && top - ns <= ns / 128, "{ns} came back as {top}");
        }
        assert_eq!(top_of(bucket_of(u64::MAX)), u64::MAX);
    }

    #[test]
    fn buckets_have_no_gaps_and_no_overlaps() {
        for bucket in 0..5_000 {
            assert_eq!(bucket_of(top_of(bucket)), bucket);
            assert_eq!(bucket_of(top_of(bucket) + 1), bucket + 1);
        }
    }

    #[test]
    fn quantiles_of_a_known_row() {
        let histogram = of(1..=10_000);
        assert_near(histogram.quantile_us(0.5), 5_000.0);
        assert_near(histogram.quantile_us(0.99), 9_900.0);
        assert_near(histogram.quantile_us(0.999), 9_990.0);
        assert_near(histogram.quantile_us(1.0), 10_000.0);
        assert_eq!(histogram.max_us(), 10_000.0);
    }

    #[test]
    fn one_slow_call_in_a_hundred_is_not_the_p99_but_is_the_p999() {
        let histogram = of(std::iter::repeat_n(100, 99).chain([50_000]));
        assert_near(histogram.quantile_us(0.99), 100.0);
        assert_near(histogram.quantile_us(0.999), 50_000.0);
    }

    #[test]
    fn an_empty_histogram_answers_zero() {
        assert_eq!(Histogram::default().quantile_us(0.5), 0.0);
        assert_eq!(Histogram::default().max_us(), 0.0);
    }

    #[test]
    fn merging_is_the_same_as_counting_together() {
        let mut merged = of(1..=10);
        merged.merge(&of(500..=900));
        let together = of((1..=10).chain(500..=900));
        assert_eq!(merged.count(), together.count());
        assert_eq!(merged.buckets, together.buckets);
        assert_eq!(merged.max_us(), together.max_us());
    }
}
