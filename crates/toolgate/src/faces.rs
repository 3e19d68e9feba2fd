//! Errors of the parts become answers here, one file per face, and nowhere else. No match has a `_` arm, so a new kind
//! of error does not compile until somebody decides what the caller is told.

pub mod admin;
pub mod admission;
pub mod jsonrpc;
pub mod rest;
