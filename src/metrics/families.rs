//! Builds metric families for values that are kept elsewhere than in a registry.

use prometheus::proto::{
    Bucket, Counter, Gauge, Histogram as WireHistogram, LabelPair, Metric, MetricFamily, MetricType,
};

/// A label and its value.
pub(super) type Label<'l> = (&'static str, &'l str);

/// A family that is being filled.
pub(super) struct Family(MetricFamily);

impl Family {
    pub(super) fn counter(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::COUNTER)
    }

    pub(super) fn gauge(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::GAUGE)
    }

    pub(super) fn histogram(name: &str, help: &str) -> Self {
        Self::new(name, help, MetricType::HISTOGRAM)
    }

    fn new(name: &str, help: &str, kind: MetricType) -> Self {
        let mut family = MetricFamily::default();
        family.set_name(name.to_owned());
        family.set_help(help.to_owned());
        family.set_field_type(kind);
        Self(family)
    }

    pub(super) fn count(&mut self, labels: &[Label<'_>], value: u64) {
        let mut counter = Counter::default();
        counter.set_value(precise(value));
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_counter(counter);
        self.0.mut_metric().push(metric);
    }

    pub(super) fn level(&mut self, labels: &[Label<'_>], value: f64) {
        let mut gauge = Gauge::default();
        gauge.set_value(value);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_gauge(gauge);
        self.0.mut_metric().push(metric);
    }

    /// `counts` are those of each bucket alone; the last one is for everything above the last bound.
    pub(super) fn distribution(&mut self, labels: &[Label<'_>], bounds: &[f64], counts: &[u64], sum: f64) {
        let mut cumulative = 0;
        let mut buckets = Vec::with_capacity(bounds.len());
        for (bound, count) in bounds.iter().zip(counts) {
            cumulative += count;
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(cumulative);
            buckets.push(bucket);
        }
        let mut histogram = WireHistogram::default();
        histogram.set_bucket(buckets);
        histogram.set_sample_count(counts.iter().sum());
        histogram.set_sample_sum(sum);
        let mut metric = Metric::from_label(pairs(labels));
        metric.set_histogram(histogram);
        self.0.mut_metric().push(metric);
    }

    pub(super) fn done(self) -> MetricFamily {
        self.0
    }
}

fn pairs(labels: &[Label<'_>]) -> Vec<LabelPair> {
    let pair = |(name, value): &Label<'_>| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    labels.iter().map(pair).collect()
}

/// Prometheus knows floats only: exact up to 2^53, which a counter reaches after centuries.
#[allow(clippy::cast_precision_loss)]
pub(super) fn precise(value: u64) -> f64 {
    value as f64
}
