//! The configuration file as it is written: structs that mirror the YAML key for key.
//!
//! Nothing is checked here but types; the check turns these into [`super::settings`]. The doc comment of a field
//! is its description in the JSON Schema and in the reference. `x-status: not active yet` marks a key that LiteLLM
//! acts on and this gateway so far only reads; the check reports it, so a user is never left to guess.

pub mod general;
pub mod jwt;
pub mod litellm;
pub mod server;
pub mod server_later;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

pub use general::GeneralSection;
pub use litellm::LitellmSection;
use litellm::RedisSection;
pub use server::ServerEntry;

/// The whole file: LiteLLM's `config.yaml`, of which the sections about MCP are acted on.
///
/// Only its schema is used: the sections are read one by one, so that an error in one does not hide those in others.
#[derive(Default, JsonSchema)]
#[schemars(title = "toolgate configuration", rename = "config", default)]
pub struct File {
    /// The MCP servers behind the gateway, by name. A name may not contain the separator of tool names (`-`) unless
    /// the entry has an alias.
    pub mcp_servers: BTreeMap<String, ServerEntry>,
    /// Settings of the gateway itself.
    pub general_settings: GeneralSection,
    /// Settings of LiteLLM's library that touch MCP.
    pub litellm_settings: LitellmSection,
    /// Of LiteLLM's router, where its Redis is.
    pub router_settings: RedisSection,
    /// Variables for `os.environ/NAME` and for settings that are variables. They win over those of the process.
    pub environment_variables: BTreeMap<String, String>,
    /// LiteLLM's local Python tools. A Rust gateway cannot run them; each is warned about.
    pub mcp_tools: Vec<LocalTool>,
}

/// One of LiteLLM's Python tools.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LocalTool {
    /// The tool's name.
    pub name: Option<String>,
    /// What it does.
    pub description: Option<String>,
    /// Its parameters as a JSON Schema.
    pub input_schema: Option<Value>,
    /// `module.function` in Python.
    pub handler: Option<String>,
}

/// Sections of LiteLLM's file that have nothing to do with MCP: accepted without a word.
pub(crate) const OTHER_SECTIONS: &[&str] = &[
    "model_list",
    "guardrails",
    "callback_settings",
    "credential_list",
    "vector_store_registry",
    "search_tools",
    "sandbox_tools",
    "files_settings",
    "finetune_settings",
    "assistant_settings",
    "default_vertex_config",
    "pass_through_endpoints",
    "prompts",
    "policies",
    "policy_attachments",
    "plugins",
    "agents",
    "agent_list",
    "worker_registry",
    "cache_params",
    "skills",
];

/// Keys of LiteLLM that look like slips for keys in this file, and are none.
pub(crate) const NO_SLIPS: &[&str] = &["fallbacks"];
