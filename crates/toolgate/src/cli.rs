//! The command line: `toolgate serve`, `check`, `tools`, `demo-server` and the rest.

pub mod demo_server;
