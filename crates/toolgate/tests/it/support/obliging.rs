//! A client of the Rust SDK that answers whatever a server asks.
#![expect(deprecated, reason = "2026-07-28 deprecates roots and sampling, which servers may ask for all the same")]

use rmcp::model::{
    ClientCapabilities, ClientConfig, CreateMessageRequestParams, CreateMessageResult, ElicitRequestParams,
    ElicitResult, Implementation, ListRootsResult, ProtocolVersion,
};
use rmcp::service::{ClientInitializeError, RequestContext, RoleClient, RunningService};
use rmcp::transport::StreamableHttpClientTransport;
use rmcp::transport::streamable_http_client::StreamableHttpClientTransportConfig;
use rmcp::{ClientHandler, ClientLifecycleMode, ClientServiceExt, ErrorData};
use serde_json::{Map, Value, json};

use super::gateway::MASTER_KEY;

/// How a client of the Rust SDK begins.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lifecycle {
    /// With `initialize`.
    Handshake,
    /// With `server/discover`, and only so.
    Discover,
}

impl Lifecycle {
    pub(crate) fn mode(self) -> ClientLifecycleMode {
        match self {
            Self::Handshake => ClientLifecycleMode::Initialize,
            Self::Discover => ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] },
        }
    }
}

/// See the module. It has one root, its model always says the same, and its user accepts every form as it is.
#[derive(Debug, Clone)]
pub(crate) struct Obliging;

impl Obliging {
    /// Connects to `url`, with the gateway's key.
    pub(crate) async fn connect(
        self,
        url: &str,
        lifecycle: Lifecycle,
    ) -> Result<RunningService<RoleClient, Self>, ClientInitializeError> {
        let key = [("x-litellm-api-key".parse().unwrap(), MASTER_KEY.parse().unwrap())];
        let config = StreamableHttpClientTransportConfig::with_uri(url).custom_headers(key.into());
        self.serve_with_lifecycle(StreamableHttpClientTransport::from_config(config), lifecycle.mode()).await
    }
}

impl ClientHandler for Obliging {
    fn get_info(&self) -> ClientConfig {
        let capabilities = json!({"roots": {}, "sampling": {}, "elicitation": {"form": {}}});
        let capabilities: ClientCapabilities = serde_json::from_value(capabilities).unwrap();
        ClientConfig::new(capabilities, Implementation::new("toolgate-tests", "1"))
    }

    async fn create_message(
        &self,
        _request: CreateMessageRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<CreateMessageResult, ErrorData> {
        let content = json!({"type": "text", "text": "as the model says"});
        let result = json!({"role": "assistant", "content": content, "model": "tests", "stopReason": "endTurn"});
        Ok(serde_json::from_value(result).unwrap())
    }

    async fn list_roots(&self, _context: RequestContext<RoleClient>) -> Result<ListRootsResult, ErrorData> {
        Ok(serde_json::from_value(json!({"roots": [{"uri": "file:///test/root", "name": "root"}]})).unwrap())
    }

    async fn create_elicitation(
        &self,
        request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        let content = match request {
            ElicitRequestParams::FormElicitationParams { requested_schema, .. } => filled(&json!(requested_schema)),
            _ => Value::Null,
        };
        Ok(serde_json::from_value(json!({"action": "accept", "content": content})).unwrap())
    }
}

/// A form filled in with its defaults, and with anything that fits where there is none.
fn filled(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().cloned().unwrap_or_default();
    let value = |property: &Value| match property["type"].as_str() {
        _ if property.get("default").is_some() => property["default"].clone(),
        Some("boolean") => json!(true),
        Some("number" | "integer") => json!(7),
        Some("array") => json!([]),
        _ => json!("anything"),
    };
    Value::Object(properties.iter().map(|(name, property)| (name.clone(), value(property))).collect::<Map<_, _>>())
}
