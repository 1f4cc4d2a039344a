//! `GET /metrics`: what is counted, in the text form of Prometheus.

use std::fmt::Write as _;

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use runner::{Counter, Metric, Sample};
use store::Health;

use crate::problem::{Kind, Problem};
use crate::router::App;

/// What became of alerts, by hook.
#[derive(Default)]
pub(crate) struct Alerts(Counter<2>);

impl Alerts {
    /// Counts an alert and its answer. A hook that nobody has named is counted without its name, which the sender made
    /// up.
    pub(crate) fn count<T>(&self, hook: Option<&str>, answer: &Result<T, Problem>) {
        let result = match answer {
            Ok(_) => "accepted",
            Err(problem) if problem.kind == Kind::Busy => "busy",
            Err(problem) if problem.kind.parts().0.is_server_error() => "failed",
            Err(_) => "refused",
        };
        self.0.add([hook.unwrap_or_default(), result]);
    }
}

pub(crate) async fn show(State(app): State<App>) -> impl IntoResponse {
    let help = "Alerts by hook: accepted, refused (the sender has to change something), busy and failed (it may come again).";
    let alerts = Metric::counter("portcullis_alerts_total", &["hook", "result"], help, &app.metrics.0);
    let mut text = String::new();
    let store = store(&app.runner.store().health().await);
    for metric in std::iter::once(alerts).chain(app.runner.metrics()).chain(store) {
        write(&mut text, &metric);
    }
    (StatusCode::OK, [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}

fn store(health: &Health) -> [Metric; 3] {
    let bytes = usize::try_from(health.bytes).unwrap_or(usize::MAX);
    [
        Metric::gauge("portcullis_store_bytes", "Bytes that the store takes on disk.", bytes),
        Metric::total("portcullis_store_flushes_total", "Flushes of facts to the disk.", health.flushes),
        Metric::total(
            "portcullis_store_flushed_bytes_total",
            "Bytes of facts that were flushed.",
            health.flushed_bytes,
        ),
    ]
}

fn write(text: &mut String, metric: &Metric) {
    let Metric { name, help, is_counter, labels, samples } = metric;
    let kind = if *is_counter { "counter" } else { "gauge" };
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for Sample { labels: values, value } in samples {
        let pairs: Vec<String> = labels
            .iter()
            .zip(values)
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect();
        let braces = if pairs.is_empty() { String::new() } else { format!("{{{}}}", pairs.join(",")) };
        let _ = writeln!(text, "{name}{braces} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}
