//! The store on both engines. PostgreSQL is used where `TEST_POSTGRES_URL` names a server on which databases may be made;
//! `make test` starts one.
#![expect(clippy::unwrap_used, reason = "a test that meets what it did not expect has failed")]
#![expect(clippy::print_stdout, reason = "a test that skips an engine says so")]

mod support;

mod accounts;
mod audit;
mod faults;
mod keys;
mod litellm;
mod migrations;
mod opening;
mod replicas;
mod sealing;
mod servers;
mod spend;
