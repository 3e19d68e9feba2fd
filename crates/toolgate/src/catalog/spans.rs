//! What the trace says of a request to a server.

use toolgate_mcp::edit::Fields;
use toolgate_mcp::jsonrpc;

use crate::config::settings::{ServerSettings, Transport};
use crate::telemetry::{OperationSpan, SpanFacts};

/// The client span of a request to this server, below the client's own `span`.
pub(super) fn of_request(span: &OperationSpan, server: &ServerSettings, method: &str, params: &str) -> OperationSpan {
    let fields = Fields::read(params).ok();
    let text = |key: &str| fields.as_ref().and_then(|fields| fields.get(key)).and_then(jsonrpc::string);
    let (name, uri) = (text("name"), text("uri"));
    let url = match &server.transport {
        Transport::Http { url, .. } => Some(url),
        Transport::OpenApi { base_url, .. } => base_url.as_ref(),
        Transport::Stdio(_) => None,
    };
    let facts = SpanFacts {
        method,
        name: name.as_deref(),
        resource_uri: uri.as_deref(),
        transport: Some(if matches!(server.transport, Transport::Stdio(_)) { "pipe" } else { "tcp" }),
        peer: url.and_then(|url| Some((url.host_str()?, url.port_or_known_default()))),
        ..SpanFacts::default()
    };
    span.client_span(&server.name, facts)
}
