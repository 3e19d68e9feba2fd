//! Integration tests: one binary, one module per part. Each test starts its own gateway on a free port.
#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]
#![expect(
    clippy::disallowed_methods,
    reason = "the tasks of a test end with its runtime, and peers are started with this process's search path"
)]

mod access;
mod aggregate;
mod answering;
mod audit;
mod bad_input;
mod bad_upstreams;
mod cli;
mod client_ip;
mod clients;
mod conformance;
mod conformance_clients;
mod credentials;
mod curl;
mod customers;
mod database_faults;
mod documented;
mod eras;
mod explain;
mod faults;
mod floods;
mod granted;
mod healing;
mod importing;
mod imports;
mod jwt;
mod keeping;
mod key_rights;
mod keys;
mod large;
mod last_good;
mod legacy_tasks;
mod limits;
mod lists;
mod mcp_servers;
mod modern;
mod modern_calls;
mod modern_clients;
mod modern_headers;
mod modern_listen;
mod modern_tasks;
mod naming;
mod openapi;
mod openapi_prism;
mod passthrough;
mod process;
mod projects;
mod questions;
mod recovery;
mod renamed_uris;
mod replicas;
mod rest;
mod restarts;
mod roles;
mod routes;
mod secrets;
mod server_rules;
mod servers_api;
mod sessions;
mod shared_limits;
mod spend;
mod stopping;
mod stored_servers;
mod streams;
mod submissions;
mod support;
mod teams;
mod telemetry;
mod tokens;
mod tool_rules;
mod toolsets;
mod vaults;
