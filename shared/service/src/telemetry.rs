//! Logs for people or machines, and traces over OTLP when an endpoint is named.

use std::env::VarError;
use std::io::IsTerminal;

use opentelemetry::KeyValue;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::log_lines::LogLines;
use crate::log_repeats::{CountedLines, counting, with_counted};

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One line a person can read.
    Text,
    /// One JSON object a line.
    Json,
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The OTLP exporter.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but its exporter cannot be built")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The thread that was to build it.
    #[error("OTEL_EXPORTER_OTLP_ENDPOINT is set, but its exporter could not be started")]
    Thread,
    /// `ORDERFLOW_LOG`.
    #[error("ORDERFLOW_LOG is no filter such as info,orderflow_writer=debug")]
    Filter(#[from] tracing_subscriber::filter::ParseError),
    /// `ORDERFLOW_LOG` is no text.
    #[error("ORDERFLOW_LOG is not UTF-8, expected a filter such as info,orderflow_writer=debug")]
    NotText,
}

/// Keeps the exporter alive; dropping it sends what is left.
pub struct Telemetry {
    provider: Option<SdkTracerProvider>,
    _counted: CountedLines,
}

impl Telemetry {
    /// Sets up logs on stderr (filter: `ORDERFLOW_LOG`, default `default_filter`; of lines that
    /// repeat one a second) and, when `OTEL_EXPORTER_OTLP_ENDPOINT` is set, traces over OTLP/HTTP
    /// of a service with this name, unless `OTEL_SERVICE_NAME` gives another. May be called once a
    /// process.
    ///
    /// # Errors
    /// [`TelemetryError`].
    pub fn start(service: &str, format: LogFormat, default_filter: &str) -> Result<Self, TelemetryError> {
        let filter = match std::env::var("ORDERFLOW_LOG") {
            Ok(text) => EnvFilter::try_new(text)?,
            Err(VarError::NotUnicode(_)) => return Err(TelemetryError::NotText),
            Err(VarError::NotPresent) => EnvFilter::new(default_filter),
        };
        let lines = tracing_subscriber::fmt::layer().with_writer(LogLines(format));
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let lines = match format {
            LogFormat::Text => lines.with_ansi(colour).with_target(false).boxed(),
            LogFormat::Json => lines.json().flatten_event(true).boxed(),
        };
        let provider = match std::env::var_os("OTEL_EXPORTER_OTLP_ENDPOINT") {
            None => None,
            Some(_) => {
                remember_secrets();
                // The exporter sends from a thread of its own with a blocking client, which must not be made inside of a
                // runtime.
                let building = || opentelemetry_otlp::SpanExporter::builder().with_http().build();
                let exporter = std::thread::spawn(building).join().map_err(|_| TelemetryError::Thread)??;
                let resource = resource(service);
                let builder =
                    SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource);
                // A stage before this one that has no exporter marks its messages as not sampled: this one has. Who sets a
                // sampler decides.
                let chosen = std::env::var_os("OTEL_TRACES_SAMPLER").is_some();
                let builder = if chosen { builder } else { builder.with_sampler(Sampler::AlwaysOn) };
                Some(builder.build())
            }
        };
        let spans = provider.as_ref().map(|provider| {
            // Only our own spans: a library's would say nothing about an order.
            tracing_opentelemetry::layer().with_tracer(provider.tracer("orderflow")).with_filter(
                tracing_subscriber::filter::filter_fn(|meta| meta.target().starts_with("orderflow")),
            )
        });
        let (lines, counted) = counting(lines);
        let filter = with_counted(filter);
        tracing_subscriber::registry().with(lines.with_filter(filter)).with(spans).init();
        counted.start();
        Ok(Self { provider, _counted: counted })
    }
}

/// Who sends the traces. What the environment says comes first.
fn resource(service: &str) -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let builder = Resource::builder().with_attribute(version);
    match std::env::var_os("OTEL_SERVICE_NAME") {
        Some(name) if !name.is_empty() => builder.build(),
        _ => builder.with_service_name(service.to_string()).build(),
    }
}

impl Drop for Telemetry {
    fn drop(&mut self) {
        if let Some(provider) = &self.provider {
            let _ = provider.shutdown();
        }
    }
}

/// What the exporter is told by the environment may hold secrets.
fn remember_secrets() {
    for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
        let headers = std::env::var(name).unwrap_or_default();
        for (header, value) in headers.split(',').filter_map(|pair| pair.split_once('=')) {
            secrets::remember_header(header.trim(), value);
        }
    }
    for name in ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        secrets::address::remember_secrets(&std::env::var(name).unwrap_or_default());
    }
}

/// The ids of a trace context: trace, span, sampled.
type Ids = (u128, u64, bool);

/// Puts `span` under `parent` and returns what its children name as their parent. Where no exporter runs, the ids are made
/// here, so that dead letters and logs can always name their trace.
pub fn traced(span: &Span, parent: Option<Ids>) -> Ids {
    if let Some((trace, own, sampled)) = parent {
        let flags = if sampled { TraceFlags::SAMPLED } else { TraceFlags::NOT_SAMPLED };
        let context = SpanContext::new(
            TraceId::from_bytes(trace.to_be_bytes()),
            SpanId::from_bytes(own.to_be_bytes()),
            flags,
            true,
            TraceState::NONE,
        );
        let _ = span.set_parent(opentelemetry::Context::new().with_remote_span_context(context));
    }
    let context = span.context();
    let own = context.span().span_context().clone();
    if own.is_valid()
        && parent.is_none_or(|(_, span_id, _)| own.span_id() != SpanId::from_bytes(span_id.to_be_bytes()))
    {
        let trace = u128::from_be_bytes(own.trace_id().to_bytes());
        return (trace, u64::from_be_bytes(own.span_id().to_bytes()), own.is_sampled());
    }
    let span_id = rand::random::<u64>().max(1);
    match parent {
        Some((trace, _, sampled)) => (trace, span_id, sampled),
        // Nobody records it. The broker looks closer at messages that say otherwise.
        None => (rand::random::<u128>().max(1), span_id, false),
    }
}
