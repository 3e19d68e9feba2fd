//! A real server, on the official Rust SDK.

use std::sync::Arc;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, JsonObject, ListToolsResult,
    PaginatedRequestParams, ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use rmcp::transport::streamable_http_server::{StreamableHttpServerConfig, StreamableHttpService};
use rmcp::{ErrorData, ServerHandler};
use tokio::sync::mpsc;

/// Tools `sum`, `progress`, `header` and `slow`, on two pages.
#[derive(Clone)]
pub(crate) struct Calculator {
    /// Hears that `slow` has begun, and that it was cancelled.
    slow: mpsc::UnboundedSender<&'static str>,
}

impl Calculator {
    pub(crate) fn new() -> (Self, mpsc::UnboundedReceiver<&'static str>) {
        let (slow, heard) = mpsc::unbounded_channel();
        (Self { slow }, heard)
    }

    /// Serves Streamable HTTP; returns the URL.
    pub(crate) async fn serve(self, stateful: bool) -> String {
        let mut config = StreamableHttpServerConfig::default();
        config.legacy_session_mode = stateful;
        config.json_response = !stateful;
        let service =
            StreamableHttpService::new(move || Ok(self.clone()), Arc::new(LocalSessionManager::default()), config);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/mcp", listener.local_addr().expect("an address"));
        let router = axum::Router::new().nest_service("/mcp", service);
        tokio::spawn(async move { axum::serve(listener, router).await.expect("it serves") });
        url
    }
}

impl ServerHandler for Calculator {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build()).with_instructions("Adds numbers")
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        _context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let second = request.and_then(|request| request.cursor).is_some();
        let names: &[&'static str] = if second { &["header", "slow"] } else { &["sum", "progress"] };
        let tool = |name: &&'static str| Tool::new(*name, format!("the tool {name}"), schema());
        let mut result = ListToolsResult::with_all_items(names.iter().map(tool).collect());
        result.next_cursor = (!second).then(|| "2".to_owned());
        Ok(result)
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let text = match &*request.name {
            "sum" => {
                let arguments = request.arguments.unwrap_or_default();
                let number = |name| arguments.get(name).and_then(serde_json::Value::as_i64).unwrap_or(0);
                (number("a") + number("b")).to_string()
            }
            "progress" => {
                let token = context.meta.get_progress_token().expect("the test sends one");
                let progress = ProgressNotificationParam::new(token, 1.0);
                context.peer.notify_progress(progress).await.expect("it is heard");
                "done".to_owned()
            }
            "header" => {
                let parts = context.extensions.get::<http::request::Parts>().expect("over HTTP");
                let value = |name| parts.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or("-");
                format!("{} {}", value("x-target"), value("x-call"))
            }
            "slow" => {
                self.slow.send("begun").expect("the test listens");
                context.ct.cancelled().await;
                self.slow.send("cancelled").expect("the test listens");
                String::new()
            }
            other => return Err(ErrorData::invalid_params(format!("no tool {other}"), None)),
        };
        Ok(CallToolResult::success(vec![ContentBlock::text(text)]).into())
    }
}

fn schema() -> Arc<JsonObject> {
    let schema = serde_json::json!({"type": "object", "properties": {"a": {"type": "integer"}}});
    Arc::new(schema.as_object().cloned().expect("an object"))
}
