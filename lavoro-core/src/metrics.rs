//! Figures as `OpenMetrics` text, which Prometheus reads.

use crate::histogram::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use std::fmt;

/// What [`text`] writes.
pub(crate) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The labels of one figure.
type Labels = Vec<(&'static str, String)>;

/// One figure.
#[derive(Debug)]
enum Figure {
    Counter(u64),
    Gauge(f64),
    Histogram(Histogram),
}

impl Figure {
    fn kind(&self) -> MetricType {
        match self {
            Self::Counter(_) => MetricType::Counter,
            Self::Gauge(_) => MetricType::Gauge,
            Self::Histogram(_) => MetricType::Histogram,
        }
    }

    fn encode(&self, encoder: &mut MetricEncoder<'_>) -> fmt::Result {
        match self {
            Self::Counter(count) => encoder.encode_counter::<NoLabelSet, _, u64>(count, None),
            Self::Gauge(value) => encoder.encode_gauge(value),
            Self::Histogram(histogram) => encoder.encode_histogram::<NoLabelSet>(
                histogram.sum().as_secs_f64(),
                histogram.total(),
                &histogram.octaves(),
                None,
            ),
        }
    }
}

/// Figures of one name.
#[derive(Debug)]
pub(crate) struct Family {
    name: &'static str,
    help: &'static str,
    figures: Vec<(Labels, Figure)>,
}

impl Family {
    /// A family without figures.
    pub(crate) fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, figures: Vec::new() }
    }

    /// Adds a count that only grows.
    pub(crate) fn counter(&mut self, labels: &[(&'static str, &str)], count: u64) {
        self.figures.push((escaped(labels), Figure::Counter(count)));
    }

    /// Adds a value.
    pub(crate) fn gauge(&mut self, labels: &[(&'static str, &str)], value: f64) {
        self.figures.push((escaped(labels), Figure::Gauge(value)));
    }

    /// Adds a histogram.
    pub(crate) fn histogram(&mut self, labels: &[(&'static str, &str)], histogram: &Histogram) {
        self.figures.push((escaped(labels), Figure::Histogram(histogram.clone())));
    }
}

/// The encoder writes values of labels as they are.
fn escaped(labels: &[(&'static str, &str)]) -> Labels {
    let escape =
        |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    labels.iter().map(|(name, value)| (*name, escape(value))).collect()
}

#[derive(Debug)]
struct Families(Vec<Family>);

impl Collector for Families {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for family in &self.0 {
            let Some((_, first)) = family.figures.first() else { continue };
            let mut metric =
                encoder.encode_descriptor(family.name, family.help, None, first.kind())?;
            for (labels, figure) in &family.figures {
                if labels.is_empty() {
                    figure.encode(&mut metric)?;
                } else {
                    figure.encode(&mut metric.encode_family(labels)?)?;
                }
            }
        }
        Ok(())
    }
}

/// The families as text. Those without figures are left out.
pub(crate) fn text(families: Vec<Family>) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Families(families)));
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = encode(&mut text, &registry);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn figures_are_written_as_openmetrics() {
        let mut counter = Family::new("a", "Counts");
        counter.counter(&[("queue", "say \"hi\" \\ now")], 3);
        let mut gauge = Family::new("b", "Is");
        gauge.gauge(&[], 0.5);
        let mut histogram = Histogram::default();
        histogram.add(Duration::from_micros(150));
        let mut family = Family::new("c_seconds", "Took");
        family.histogram(&[("task", "t")], &histogram);
        let text = text(vec![counter, gauge, Family::new("none", "Nothing"), family]);
        let head = "# HELP a Counts\n# TYPE a counter\n\
                    a_total{queue=\"say \\\"hi\\\" \\\\ now\"} 3\n\
                    # HELP b Is\n# TYPE b gauge\nb 0.5\n\
                    # HELP c_seconds Took\n# TYPE c_seconds histogram\n\
                    c_seconds_sum{task=\"t\"} 0.00015\nc_seconds_count{task=\"t\"} 1\n\
                    c_seconds_bucket{le=\"0.0001\",task=\"t\"} 0\n\
                    c_seconds_bucket{le=\"0.0002\",task=\"t\"} 1\n";
        assert!(text.starts_with(head), "{text}");
        assert!(text.ends_with("c_seconds_bucket{le=\"+Inf\",task=\"t\"} 1\n# EOF\n"), "{text}");
    }
}
