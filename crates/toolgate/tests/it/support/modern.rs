//! A client of revision 2026-07-28, down to its headers.

use serde_json::{Value, json};

use super::caller::{Answer, Caller};
use super::http::EventStream;

/// The revision.
pub(crate) const MODERN: &str = "2026-07-28";

/// One client; every request says anew what it can do.
#[derive(Debug, Clone)]
pub(crate) struct Modern {
    caller: Caller,
    meta: Value,
}

impl Modern {
    /// A client that can do nothing that a server could ask for.
    pub(crate) fn new(caller: &Caller) -> Self {
        let meta = json!({
            "io.modelcontextprotocol/protocolVersion": MODERN,
            "io.modelcontextprotocol/clientInfo": {"name": "toolgate-tests", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
        });
        Self { caller: caller.clone(), meta }
    }

    /// The same client with these capabilities.
    pub(crate) fn capable(self, capabilities: Value) -> Self {
        self.saying("io.modelcontextprotocol/clientCapabilities", capabilities)
    }

    /// The same client with one key of `_meta` more, or other.
    pub(crate) fn saying(mut self, key: &str, value: Value) -> Self {
        self.meta[key] = value;
        self
    }

    /// The same client without a key of `_meta`.
    pub(crate) fn silent_about(mut self, key: &str) -> Self {
        self.meta.as_object_mut().unwrap().remove(key);
        self
    }

    /// The same client with another header; it stays, whatever the method asks for.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        self.caller = self.caller.with(name, value);
        self
    }

    /// One request, and its answer.
    pub(crate) async fn rpc(&self, method: &str, params: Value) -> Answer {
        self.rpc_at("/mcp", method, params).await
    }

    /// One request to `path`, and its answer.
    pub(crate) async fn rpc_at(&self, path: &str, method: &str, params: Value) -> Answer {
        let (caller, body) = self.request(json!(1), method, params);
        Answer::new(caller.post(path, body.to_string()).await)
    }

    /// Calls a tool.
    pub(crate) async fn call(&self, tool: &str, arguments: Value) -> Answer {
        self.rpc("tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// One request whose answer is a stream.
    pub(crate) async fn open(&self, id: Value, method: &str, params: Value) -> EventStream {
        let (caller, body) = self.request(id, method, params);
        caller.open_post("/mcp", body.to_string()).await
    }

    /// The caller with the request's headers, and the request.
    pub(crate) fn request(&self, id: Value, method: &str, mut params: Value) -> (Caller, Value) {
        let name = match method {
            "tools/call" | "prompts/get" => params["name"].as_str(),
            "resources/read" => params["uri"].as_str(),
            "tasks/get" | "tasks/update" | "tasks/cancel" => params["taskId"].as_str(),
            _ => None,
        };
        let mut caller = self.caller.clone().or_with("mcp-protocol-version", MODERN).or_with("mcp-method", method);
        if let Some(name) = name {
            caller = caller.or_with("mcp-name", name);
        }
        params["_meta"] = self.meta.clone();
        (caller, json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}))
    }
}
