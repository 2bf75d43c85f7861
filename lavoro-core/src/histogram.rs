//! Counts of durations in fixed classes, four to each doubling.

use std::sync::LazyLock;
use std::time::Duration;

/// How many classes there are: up to 0.1 ms, then four to each doubling up to 33 days, and all
/// that is longer.
pub(crate) const CLASSES: usize = 141;

/// The longest duration of each class but the last, in nanoseconds.
static BOUNDS: LazyLock<[u64; CLASSES - 1]> = LazyLock::new(|| {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "positive, and far below 2^64"
    )]
    std::array::from_fn(|class| (1e5 * 2_f64.powf(class as f64 / 4.0)).round() as u64)
});

/// How many durations fell into which class.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Histogram {
    /// Up to the last class that is not empty.
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    /// Counts in the form in which [`counts`](Self::counts) gives them. The sum is unknown.
    pub(crate) fn from_counts(counts: impl IntoIterator<Item = u64>) -> Self {
        Self { counts: counts.into_iter().take(CLASSES).collect(), sum: Duration::ZERO }
    }

    /// Counts a duration.
    pub(crate) fn add(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        let class = BOUNDS.partition_point(|bound| *bound < nanos);
        self.count(class, 1);
        self.sum = self.sum.saturating_add(duration);
    }

    /// Adds what another has counted.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (class, count) in other.counts.iter().enumerate() {
            self.count(class, *count);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    fn count(&mut self, class: usize, count: u64) {
        if self.counts.len() <= class {
            self.counts.resize(class + 1, 0);
        }
        if let Some(counted) = self.counts.get_mut(class) {
            *counted = counted.saturating_add(count);
        }
    }

    /// How many durations were counted.
    pub(crate) fn total(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all durations, as far as it is known.
    pub(crate) fn sum(&self) -> Duration {
        self.sum
    }

    /// The counts by class, without the empty classes at the end.
    pub(crate) fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// About the duration that the share `q` (0 to 1) of all does not exceed: the middle of its
    /// class, at most 9.1 % off. Below 0.1 ms it is at most 0.05 ms off; what is longer than 28
    /// days is 33 days. `None` if nothing was counted.
    pub(crate) fn quantile(&self, q: f64) -> Option<Duration> {
        let total = self.total();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between 0 and the total"
        )]
        let rank = ((q.clamp(0.0, 1.0) * total as f64).ceil() as u64).max(1);
        let mut seen = 0;
        let class = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(Duration::from_nanos(middle(class)))
    }

    /// Upper bounds in seconds with how many durations lie between them and the bounds before,
    /// one bound to each doubling. The last is infinite.
    pub(crate) fn octaves(&self) -> Vec<(f64, u64)> {
        let octaves = (0..CLASSES).step_by(4).map(|last| {
            let first = last.saturating_sub(3);
            let counts = self.counts.iter().take(last + 1).skip(first);
            let bound = BOUNDS.get(last).map_or(f64::MAX, |nanos| *nanos as f64 / 1e9);
            (bound, counts.sum())
        });
        octaves.collect()
    }
}

/// The geometric middle of a class, in nanoseconds.
fn middle(class: usize) -> u64 {
    let bound = |class: usize| BOUNDS.get(class).copied();
    match (class.checked_sub(1).and_then(bound), bound(class)) {
        (None, upper) => upper.unwrap_or(0) / 2,
        (Some(lower), None) => lower,
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "between two positive bounds"
        )]
        (Some(lower), Some(upper)) => (lower as f64 * upper as f64).sqrt().round() as u64,
    }
}

#[cfg(test)]
#[allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a test ends by panicking, and its numbers are small"
)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(micros: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for micros in micros {
            histogram.add(Duration::from_micros(*micros));
        }
        histogram
    }

    #[test]
    fn classes_reach_from_a_tenth_of_a_millisecond_to_a_month() {
        let days = |days: u64| Duration::from_hours(24 * days);
        assert_eq!(of(&[0, 100]).counts(), [2]);
        assert_eq!(of(&[101]).counts(), [0, 1]);
        assert_eq!(of(&[200]).counts(), [0, 0, 0, 0, 1], "one doubling is four classes");
        let mut histogram = Histogram::default();
        histogram.add(days(33));
        assert_eq!(histogram.counts().len(), CLASSES - 1);
        histogram.add(days(34));
        histogram.add(Duration::MAX);
        assert_eq!(histogram.counts().last(), Some(&2));
        assert_eq!(histogram.quantile(1.0).unwrap().as_secs() / 86_400, 33);
    }

    #[test]
    fn quantiles_of_known_data() {
        let histogram = of(&(1..=1000).map(|ms| ms * 1000).collect::<Vec<_>>());
        for (q, ms) in [(0.0, 1.0), (0.5, 500.0), (0.95, 950.0), (0.99, 990.0), (1.0, 1000.0)] {
            let got = histogram.quantile(q).unwrap().as_secs_f64() * 1000.0;
            assert!((got / ms - 1.0).abs() < 0.091, "{q}: {got} ms, not {ms}");
        }
        assert_eq!(Histogram::default().quantile(0.5), None);
        assert_eq!(of(&[7]).quantile(0.5), Some(Duration::from_micros(50)));
    }

    #[test]
    fn octaves_hold_every_count_once() {
        let all = Histogram::from_counts([1; CLASSES]);
        let octaves = all.octaves();
        assert_eq!(octaves.iter().map(|(_, count)| count).sum::<u64>(), 141);
        assert_eq!(octaves.first(), Some(&(1e-4, 1)));
        assert_eq!(octaves.get(1), Some(&(2e-4, 4)));
        assert!(octaves.is_sorted_by(|a, b| a.0 < b.0), "{octaves:?}");
    }

    proptest! {
        #[test]
        fn quantiles_lie_within_their_bound(
            mut micros in prop::collection::vec(0_u64..10_000_000_000, 1..300),
            q in 0.0..=1.0_f64,
        ) {
            let got = of(&micros).quantile(q).unwrap().as_secs_f64() * 1e6;
            micros.sort_unstable();
            let rank = ((q * micros.len() as f64).ceil() as usize).max(1);
            let exact = micros[rank - 1] as f64;
            let bound = if exact <= 100.0 { 50.0 } else { exact * 0.091 };
            prop_assert!((got - exact).abs() <= bound, "{got} µs for {exact} µs");
        }

        #[test]
        fn merging_is_counting_together(
            a in prop::collection::vec(0_u64..u64::MAX / 2, 0..50),
            b in prop::collection::vec(0_u64..10_000_000, 0..50),
        ) {
            let mut merged = of(&a);
            merged.merge(&of(&b));
            prop_assert_eq!(merged.total(), (a.len() + b.len()) as u64);
            prop_assert_eq!(merged, of(&[a, b].concat()));
        }
    }
}
