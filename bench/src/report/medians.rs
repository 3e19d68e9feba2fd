//! One number out of many rounds: medians, and differences taken within a round.

use crate::report::cell::{Cell, Numbers, Target};

/// Reads one number out of a cell.
pub(crate) type Read = fn(&Numbers) -> Option<f64>;

/// All cells, asked for medians.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Medians<'a>(pub(crate) &'a [Cell]);

impl Medians<'_> {
    /// The median over the rounds that did not fail.
    pub(crate) fn of(self, scenario: &str, target: Target, read: Read) -> Option<f64> {
        median(self.rounds(scenario, target, read).map(|(_, number)| number).collect())
    }

    /// The median of `combine(one, other)`, each pair from the same round.
    pub(crate) fn of_pairs(
        self,
        scenario: &str,
        (one, other): (Target, Target),
        read: Read,
        combine: fn(f64, f64) -> f64,
    ) -> Option<f64> {
        let pairs = self.rounds(scenario, one, read).filter_map(|(round, number)| {
            let (_, partner) = self.rounds(scenario, other, read).find(|(of, _)| *of == round)?;
            Some(combine(number, partner))
        });
        median(pairs.collect())
    }

    fn rounds(self, scenario: &str, target: Target, read: Read) -> impl Iterator<Item = (u32, f64)> {
        let cells = self.0.iter().filter(move |cell| cell.scenario == scenario && cell.target == target);
        cells.filter(|cell| cell.failure.is_none()).filter_map(move |cell| Some((cell.round, read(&cell.numbers)?)))
    }
}

/// How many times as large.
pub(crate) fn ratio(one: f64, other: f64) -> f64 {
    one / other
}

/// How much more.
pub(crate) fn difference(one: f64, other: f64) -> f64 {
    one - other
}

fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_unstable_by(f64::total_cmp);
    let upper = *numbers.get(numbers.len() / 2)?;
    if numbers.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(numbers[numbers.len() / 2 - 1], upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(target: Target, round: u32, ready_ms: f64, failure: Option<&str>) -> Cell {
        let numbers = Numbers { ready_ms: Some(ready_ms), ..Numbers::default() };
        Cell { scenario: "x", target, round, numbers, failure: failure.map(str::to_owned) }
    }

    #[test]
    fn medians_of_odd_and_even_rows() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn a_failed_round_counts_for_nothing() {
        let cells = [
            cell(Target::Nginx, 0, 1.0, None),
            cell(Target::Nginx, 1, 1_000.0, Some("no")),
            cell(Target::Nginx, 2, 3.0, None),
        ];
        assert_eq!(Medians(&cells).of("x", Target::Nginx, |numbers| numbers.ready_ms), Some(2.0));
    }

    #[test]
    fn pairs_are_made_within_a_round_so_that_a_slow_round_does_not_matter() {
        let cells = [
            cell(Target::Toolgate, 0, 2.0, None),
            cell(Target::Nginx, 0, 1.0, None),
            cell(Target::Toolgate, 1, 20.0, None),
            cell(Target::Nginx, 1, 10.0, None),
            cell(Target::Toolgate, 2, 500.0, None),
        ];
        let targets = (Target::Toolgate, Target::Nginx);
        assert_eq!(Medians(&cells).of_pairs("x", targets, |numbers| numbers.ready_ms, ratio), Some(2.0));
        assert_eq!(Medians(&cells).of_pairs("y", targets, |numbers| numbers.ready_ms, ratio), None);
    }
}
