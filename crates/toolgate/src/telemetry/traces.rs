//! OpenTelemetry traces: a server span for each operation of a client, and a client span for each of an upstream.
//!
//! They are on only when the standard variables name a collector. Off, a [`Traces`] is `None` inside and costs a check.
//! Context comes from `_meta` (`traceparent`, `tracestate`); the HTTP header of that name is the parent when `_meta`
//! has none, and a link otherwise. It goes upstream both ways. `baggage` is nobody's parent: what stands in `_meta`
//! stays there as the client wrote it, and the HTTP header is not forwarded to third parties.
//!
//! Source: OpenTelemetry semantic conventions for MCP (status: development); MCP SEP-414.

mod context;
mod export;

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use opentelemetry::trace::{Link, Span as _, SpanContext, SpanKind, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider, Span};

pub use self::export::TracesError;
use super::metrics::method_label;

/// How long the last spans may take to leave at the end.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Values longer than this are cut: they come from outside.
const MAX_VALUE_CHARS: usize = 256;

/// Makes spans. Clones are the same; the default is off.
#[derive(Debug, Clone, Default)]
pub struct Traces(Option<Arc<On>>);

#[derive(Debug)]
struct On {
    tracer: SdkTracer,
    provider: SdkTracerProvider,
}

/// What a span says about its operation.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanFacts<'a> {
    /// The JSON-RPC method.
    pub method: &'a str,
    /// The tool's or prompt's name, where the method has one.
    pub name: Option<&'a str>,
    /// The resource's URI, where the method has one. Never part of the span's name.
    pub resource_uri: Option<&'a str>,
    /// The request id as JSON text.
    pub request_id: Option<&'a str>,
    /// The protocol revision.
    pub version: Option<&'a str>,
    /// A name of the session that opens nothing: not the session id that the client holds.
    pub session: Option<&'a str>,
    /// `tcp` or `pipe`.
    pub transport: Option<&'static str>,
    /// The peer's address, and port where that is known: the client's for a server span, the upstream's for a client span.
    pub peer: Option<(&'a str, Option<u16>)>,
}

impl Traces {
    /// No traces.
    #[must_use]
    pub fn disabled() -> Self {
        Self(None)
    }

    /// Traces as the standard variables want them: off, unless `OTEL_EXPORTER_OTLP_ENDPOINT` or
    /// `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set.
    ///
    /// `variable` looks an environment variable up. The OpenTelemetry library itself reads those for the sampler,
    /// headers, limits and batches from the process. When they are on this must be called inside a Tokio runtime, on
    /// which spans are sent.
    ///
    /// # Errors
    /// When the variables ask for what there is not, such as gRPC.
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Result<Self, TracesError> {
        Ok(export::provider(&variable)?.map_or_else(Self::disabled, Self::with_provider))
    }

    fn with_provider(provider: SdkTracerProvider) -> Self {
        let tracer = provider.tracer("toolgate");
        Self(Some(Arc::new(On { tracer, provider })))
    }

    /// Whether spans are made.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Begins the span of a client's operation.
    ///
    /// `meta` is the request's `_meta` as JSON text, `headers` those of the HTTP request; an empty map for stdio.
    #[must_use]
    pub fn server_span(&self, facts: SpanFacts<'_>, meta: Option<&str>, headers: &HeaderMap) -> OperationSpan {
        let Some(on) = &self.0 else { return OperationSpan(None) };
        let (from_meta, from_http) = (meta.and_then(context::of_meta), context::of_headers(headers));
        let link = from_http.clone().filter(|_| from_meta.is_some()).map(Link::with_context);
        OperationSpan::begin(on, SpanKind::Server, facts, from_meta.or(from_http), link, Vec::new())
    }

    /// Sends what is left and ends. Spans that are finished later are lost.
    pub async fn shutdown(&self) {
        let Some(on) = &self.0 else { return };
        let provider = on.provider.clone();
        // It blocks on a thread that waits for this runtime.
        let done = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(SHUTDOWN_TIMEOUT)).await;
        if let Ok(Err(error)) = done {
            tracing::warn!(%error, "the last traces could not be sent");
        }
    }
}

/// One operation's span. Dropped without [`OperationSpan::finish`] it ends as cancelled.
#[derive(Debug)]
pub struct OperationSpan(Option<Box<Live>>);

#[derive(Debug)]
struct Live {
    on: Arc<On>,
    span: Span,
}

impl OperationSpan {
    /// A span that is none.
    #[must_use]
    pub fn none() -> Self {
        Self(None)
    }

    /// Whether there is a span.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    fn begin(
        on: &Arc<On>,
        kind: SpanKind,
        facts: SpanFacts<'_>,
        parent: Option<SpanContext>,
        link: Option<Link>,
        more: Vec<KeyValue>,
    ) -> Self {
        let parent = parent.map_or_else(Context::new, |parent| Context::new().with_remote_span_context(parent));
        let mut attributes = attributes(&kind, facts);
        attributes.extend(more);
        let builder = on
            .tracer
            .span_builder(span_name(facts))
            .with_kind(kind)
            .with_attributes(attributes)
            .with_links(link.into_iter().collect());
        let span = on.tracer.build_with_context(builder, &parent);
        Self(Some(Box::new(Live { on: Arc::clone(on), span })))
    }

    /// Begins the span of the gateway's operation with the upstream server of this configured name.
    #[must_use]
    pub fn client_span(&self, server: &str, facts: SpanFacts<'_>) -> Self {
        let Some(live) = &self.0 else { return Self(None) };
        let parent = live.span.span_context().clone();
        let server = KeyValue::new("toolgate.server.name", cut(server));
        Self::begin(&live.on, SpanKind::Client, facts, Some(parent), None, vec![server])
    }

    /// Puts this span's context into the headers of a request, in place of any that is there.
    pub fn inject_headers(&self, headers: &mut HeaderMap) {
        if let Some(live) = &self.0 {
            context::into_headers(live.span.span_context(), headers);
        }
    }

    /// `params`, JSON text, with this span's context in `_meta`; everything else stays byte for byte.
    ///
    /// When traces are off, or `params` is no object, it comes back as it is.
    #[must_use]
    pub fn inject_meta<'p>(&self, params: Option<&'p str>) -> Option<Cow<'p, str>> {
        let Some(live) = &self.0 else { return params.map(Cow::Borrowed) };
        context::into_params(live.span.span_context(), params)
    }

    /// The trace's and the span's id in hexadecimal, for log lines.
    #[must_use]
    pub fn ids(&self) -> Option<(String, String)> {
        let context = self.0.as_ref()?.span.span_context();
        Some((context.trace_id().to_string(), context.span_id().to_string()))
    }

    /// Ends the span; `error_type` is a JSON-RPC code, `tool_error`, or one of our words.
    pub fn finish(mut self, error_type: Option<&str>) {
        self.end(error_type);
    }

    fn end(&mut self, error_type: Option<&str>) {
        let Some(mut live) = self.0.take() else { return };
        if let Some(error_type) = error_type {
            live.span.set_attribute(KeyValue::new("error.type", cut(error_type)));
            if error_type.parse::<i64>().is_ok() {
                live.span.set_attribute(KeyValue::new("rpc.response.status_code", cut(error_type)));
            }
            live.span.set_status(Status::error(cut(error_type)));
        }
        live.span.end();
    }
}

impl Drop for OperationSpan {
    fn drop(&mut self) {
        self.end(Some("cancelled"));
    }
}

/// `tools/call github-list_issues`. A method that MCP does not have is a stranger's text, and stays out.
fn span_name(facts: SpanFacts<'_>) -> String {
    let method = method_label(facts.method);
    match facts.name {
        Some(name) => format!("{method} {}", cut(name)),
        None => method.to_owned(),
    }
}

fn attributes(kind: &SpanKind, facts: SpanFacts<'_>) -> Vec<KeyValue> {
    let mut all = Vec::with_capacity(12);
    let mut add = |key: &'static str, value: Option<&str>| {
        if let Some(value) = value {
            all.push(KeyValue::new(key, cut(value)));
        }
    };
    add("mcp.method.name", Some(facts.method));
    match facts.method {
        "tools/call" => {
            add("gen_ai.operation.name", Some("execute_tool"));
            add("gen_ai.tool.name", facts.name);
        }
        "prompts/get" => add("gen_ai.prompt.name", facts.name),
        _ => {}
    }
    add("mcp.resource.uri", facts.resource_uri);
    add("jsonrpc.request.id", facts.request_id.map(|id| id.trim_matches('"')));
    add("mcp.protocol.version", facts.version);
    add("mcp.session.id", facts.session);
    add("network.transport", facts.transport);
    if let Some((host, port)) = facts.peer {
        let (address, number) = match kind {
            SpanKind::Server => ("client.address", "client.port"),
            _ => ("server.address", "server.port"),
        };
        add(address, Some(host));
        all.extend(port.map(|port| KeyValue::new(number, i64::from(port))));
    }
    all
}

fn cut(value: &str) -> String {
    value.chars().take(MAX_VALUE_CHARS).collect()
}

#[cfg(test)]
mod tests;
