//! The REST faces: LiteLLM's `/mcp-rest` for callers that speak no MCP, health and metrics for operators.

pub mod health;
pub mod servers;
pub mod tools;
