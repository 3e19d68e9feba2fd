//! A metric family whose size is bounded, and whose hot path does not allocate.
//!
//! `prometheus_client`'s own `Family` needs an owned label set for each look-up and grows for ever.

use std::fmt;
use std::hash::Hash;
use std::sync::{Arc, PoisonError, RwLock};

use foldhash::fast::RandomState;
use indexmap::{Equivalent, IndexMap};
use prometheus_client::encoding::{EncodeLabel, EncodeLabelSet, EncodeMetric, LabelSetEncoder, MetricEncoder};
use prometheus_client::metrics::{MetricType, TypedMetric};

use super::OTHER;

/// A label's name, and whether peers choose its values.
#[derive(Debug, Clone, Copy)]
pub(super) struct Label {
    name: &'static str,
    open: bool,
}

impl Label {
    /// Its values come from a set that we know.
    pub(super) const fn closed(name: &'static str) -> Self {
        Self { name, open: false }
    }

    /// Its values come from outside, and become [`OTHER`] when the family is full.
    pub(super) const fn open(name: &'static str) -> Self {
        Self { name, open: true }
    }
}

/// Metrics of one name, told apart by `N` labels. An empty value means that the series has no such label.
pub(super) struct Series<const N: usize, M>(Arc<Shared<N, M>>);

struct Shared<const N: usize, M> {
    labels: [Label; N],
    lines: usize,
    budget_bytes: usize,
    make: fn() -> M,
    table: RwLock<Table<N, M>>,
}

struct Table<const N: usize, M> {
    metrics: IndexMap<[Box<str>; N], M, RandomState>,
    /// About how much text the series take when they are written.
    bytes: usize,
}

/// Borrowed label values that find the owned ones.
#[derive(Hash)]
struct Values<'a, const N: usize>([&'a str; N]);

impl<const N: usize> Equivalent<[Box<str>; N]> for Values<'_, N> {
    fn equivalent(&self, key: &[Box<str>; N]) -> bool {
        self.0.iter().zip(key).all(|(ours, theirs)| *ours == &**theirs)
    }
}

impl<const N: usize, M> Series<N, M> {
    /// A family that writes `lines` lines for each series and makes new ones up to `budget_bytes` of text.
    pub(super) fn new(labels: [Label; N], lines: usize, budget_bytes: usize, make: fn() -> M) -> Self {
        let table = RwLock::new(Table { metrics: IndexMap::default(), bytes: 0 });
        Self(Arc::new(Shared { labels, lines, budget_bytes, make, table }))
    }

    /// Lets `record` see the metric with these label values.
    pub(super) fn with(&self, values: [&str; N], record: impl FnOnce(&M)) {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(metric) = table.metrics.get(&Values(values)) {
            return record(metric);
        }
        drop(table);
        self.with_new(values, record);
    }

    #[cold]
    fn with_new(&self, values: [&str; N], record: impl FnOnce(&M)) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        let mut values = values;
        // When the open labels are gone there are still all the combinations of the closed ones; a quarter more is
        // enough for those that happen, and after that a family makes at most one series per set of labels present.
        for (budget, even_closed) in [(self.0.budget_bytes, false), (self.0.budget_bytes / 4 * 5, true)] {
            if !table.metrics.contains_key(&Values(values)) && table.bytes + self.0.bytes_of(&values) > budget {
                for (value, label) in values.iter_mut().zip(&self.0.labels) {
                    // A label that is left out stays so: `_OTHER` as the tool of a `ping` would be a lie.
                    if (label.open || even_closed) && !value.is_empty() {
                        *value = OTHER;
                    }
                }
            }
        }
        if let Some(metric) = table.metrics.get(&Values(values)) {
            return record(metric);
        }
        table.bytes += self.0.bytes_of(&values);
        record(table.metrics.entry(values.map(Box::from)).or_insert_with(self.0.make));
    }

    /// The metric with these label values, made if need be, for who counts in it all the time.
    pub(super) fn made(&self, values: [&str; N]) -> M
    where
        M: Clone,
    {
        let mut made = None;
        self.with(values, |metric| made = Some(metric.clone()));
        made.expect("a metric is there or is made")
    }

    /// Leaves out the series with these label values.
    pub(super) fn remove(&self, values: [&str; N]) {
        let mut table = self.0.table.write().unwrap_or_else(PoisonError::into_inner);
        if table.metrics.shift_remove(&Values(values)).is_some() {
            table.bytes = table.bytes.saturating_sub(self.0.bytes_of(&values));
        }
    }
}

/// The metric's name, the value, and the punctuation of a line; a little more than they are.
const LINE_BYTES: usize = 80;

impl<const N: usize, M> Shared<N, M> {
    /// About the text of one series. Escaping can double a value, so quotes and the like count twice.
    fn bytes_of(&self, values: &[&str; N]) -> usize {
        let label = |(label, value): (&Label, &&str)| {
            let escaped = value.bytes().filter(|byte| matches!(byte, b'"' | b'\\' | b'\n')).count();
            if value.is_empty() { 0 } else { label.name.len() + value.len() + escaped + 4 }
        };
        let labels: usize = self.labels.iter().zip(values).map(label).sum();
        self.lines * (LINE_BYTES + labels)
    }
}

impl<const N: usize, M> Clone for Series<N, M> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<const N: usize, M> fmt::Debug for Series<N, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Series").field("labels", &self.0.labels).finish_non_exhaustive()
    }
}

impl<const N: usize, M: EncodeMetric + TypedMetric> EncodeMetric for Series<N, M> {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let table = self.0.table.read().unwrap_or_else(PoisonError::into_inner);
        for (values, metric) in &table.metrics {
            let labels = Written { labels: &self.0.labels, values };
            metric.encode(encoder.encode_family(&labels)?)?;
        }
        Ok(())
    }

    fn metric_type(&self) -> MetricType {
        M::TYPE
    }

    fn is_empty(&self) -> bool {
        self.0.table.read().unwrap_or_else(PoisonError::into_inner).metrics.is_empty()
    }
}

/// One series' labels on their way into the text.
struct Written<'a, const N: usize> {
    labels: &'a [Label; N],
    values: &'a [Box<str>; N],
}

impl<const N: usize> EncodeLabelSet for Written<'_, N> {
    fn encode(&self, encoder: &mut LabelSetEncoder<'_>) -> fmt::Result {
        for (label, value) in self.labels.iter().zip(self.values) {
            if !value.is_empty() {
                (label.name, &**value).encode(encoder.encode_label())?;
            }
        }
        Ok(())
    }
}
