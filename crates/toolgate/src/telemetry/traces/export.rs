//! Sending spans to a collector over OTLP/HTTP, as the standard variables say.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper_rustls::HttpsConnectorBuilder;
use opentelemetry::KeyValue;
use opentelemetry_http::hyper::HyperClient;
use opentelemetry_otlp::{Protocol, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};
use tokio::runtime::Handle;

/// The specification's default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Why traces are not sent although variables ask for it.
#[derive(Debug, thiserror::Error)]
pub enum TracesError {
    /// A protocol that is not there.
    #[error(
        "OTEL_EXPORTER_OTLP_PROTOCOL `{0}` is not supported: use http/protobuf, which collectors take on port 4318"
    )]
    Protocol(String),
    /// An endpoint or header that cannot be used.
    #[error("the trace exporter cannot be set up")]
    Exporter(#[source] opentelemetry_otlp::ExporterBuildError),
    /// The system's certificates cannot be read.
    #[error("the system's certificates cannot be read")]
    Certificates(#[source] std::io::Error),
    /// There is no runtime to send spans on.
    #[error("traces need a Tokio runtime")]
    Runtime(#[source] tokio::runtime::TryCurrentError),
}

/// A provider that exports to the collector that the variables name; `None` when they name none.
pub(super) fn provider(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<SdkTracerProvider>, TracesError> {
    let Some(endpoint) = endpoint(variable) else { return Ok(None) };
    let either = |name: &str| first(variable, &[&format!("OTLP_TRACES_{name}"), &format!("OTLP_{name}")]);
    if let Some(protocol) = either("PROTOCOL").filter(|protocol| protocol != "http/protobuf") {
        return Err(TracesError::Protocol(protocol));
    }
    let timeout =
        either("TIMEOUT").and_then(|millis| millis.parse().ok()).map_or(DEFAULT_TIMEOUT, Duration::from_millis);
    let runtime = Handle::try_current().map_err(TracesError::Runtime)?;
    let exporter = opentelemetry_otlp::SpanExporter::builder()
        .with_http()
        .with_http_client(client(timeout)?)
        .with_protocol(Protocol::HttpBinary)
        .with_endpoint(endpoint)
        .with_timeout(timeout)
        .build()
        .map_err(TracesError::Exporter)?;
    let exporter = OnRuntime { exporter: Arc::new(exporter), runtime, failing: AtomicBool::new(false) };
    let provider = SdkTracerProvider::builder().with_resource(resource(variable)).with_batch_exporter(exporter);
    Ok(Some(provider.build()))
}

/// The value of the first of `OTEL_EXPORTER_{name}` that is set.
fn first(variable: &dyn Fn(&str) -> Option<String>, names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| variable(&format!("OTEL_EXPORTER_{name}")).filter(|value| !value.is_empty()))
}

/// Where to send: the traces' own endpoint as it is, else the common one with its path.
fn endpoint(variable: &dyn Fn(&str) -> Option<String>) -> Option<String> {
    let is = |name: &str, value: &str| variable(name).is_some_and(|given| given.trim().eq_ignore_ascii_case(value));
    if is("OTEL_SDK_DISABLED", "true") || is("OTEL_TRACES_EXPORTER", "none") {
        return None;
    }
    first(variable, &["OTLP_TRACES_ENDPOINT"]).or_else(|| {
        let base = first(variable, &["OTLP_ENDPOINT"])?;
        Some(format!("{}/v1/traces", base.trim_end_matches('/')))
    })
}

fn client(
    timeout: Duration,
) -> Result<HyperClient<hyper_rustls::HttpsConnector<hyper_util::client::legacy::connect::HttpConnector>>, TracesError>
{
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())
        .map_err(TracesError::Certificates)?
        .https_or_http()
        .enable_http1()
        .build();
    Ok(HyperClient::new(connector, timeout, None))
}

fn resource(variable: &dyn Fn(&str) -> Option<String>) -> Resource {
    let given = |name: &str| variable(name).filter(|value| !value.is_empty());
    let mut builder = Resource::builder().with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")));
    let named = given("OTEL_RESOURCE_ATTRIBUTES").is_some_and(|attributes| attributes.contains("service.name="));
    match given("OTEL_SERVICE_NAME") {
        Some(name) => builder = builder.with_service_name(name),
        None if !named => builder = builder.with_service_name("toolgate"),
        None => {}
    }
    builder.build()
}

/// An exporter whose requests run on our runtime: the batch processor calls it from a thread without one.
#[derive(Debug)]
struct OnRuntime {
    exporter: Arc<opentelemetry_otlp::SpanExporter>,
    runtime: Handle,
    /// Whether the last batch was lost; only changes are logged.
    failing: AtomicBool,
}

impl SpanExporter for OnRuntime {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let exporter = Arc::clone(&self.exporter);
        let sent = self.runtime.spawn(async move { exporter.export(batch).await }).await;
        let result = sent.unwrap_or_else(|stopped| Err(OTelSdkError::InternalFailure(stopped.to_string())));
        match &result {
            Err(error) if !self.failing.swap(true, Ordering::Relaxed) => {
                tracing::warn!(%error, "traces are lost: the collector does not take them");
            }
            Ok(()) if self.failing.swap(false, Ordering::Relaxed) => {
                tracing::info!("the collector takes traces again");
            }
            _ => {}
        }
        result
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        // Called once, before the first batch: nobody else holds the exporter yet.
        if let Some(exporter) = Arc::get_mut(&mut self.exporter) {
            exporter.set_resource(resource);
        }
    }
}
