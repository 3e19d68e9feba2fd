//! OpenAPI and Swagger documents as MCP tools.
//!
//! Values in, values out: nothing here touches a socket, a file, a clock or a task. A description becomes an [`Api`] of
//! [`Operation`]s, each of which is one tool; the arguments of a call become a [`Request`] to be sent, and the response
//! to that the result of the call.
//!
//! ```
//! use toolgate_openapi::{Documents, Limits, Options, read};
//!
//! let text = br#"{"openapi":"3.1.0","servers":[{"url":"https://api.example.com/v1"}],
//!     "paths":{"/pets/{id}":{"get":{"operationId":"getPet"}}}}"#;
//! let documents = Documents::new("pets.json", text, Limits::default()).unwrap();
//! assert!(documents.wanted().is_empty());
//! let api = read(&documents, &Options::default()).unwrap();
//!
//! let operation = api.find("getPet").unwrap();
//! let request = operation.request(api.base.as_ref().unwrap(), r#"{"id":"a/b"}"#).unwrap();
//! assert_eq!(request.url.as_str(), "https://api.example.com/v1/pets/a%2Fb");
//! ```
//!
//! Suggested reading order: `node`, `parse`, `documents`, `read`, `schema`, `request`, `check`, `answer`.

mod answer;
mod api;
mod check;
mod documents;
mod encode;
mod limits;
mod names;
mod node;
mod operation;
mod options;
mod parse;
mod read;
mod request;
mod schema;

pub use answer::{Response, Rest, error_result};
pub use api::{Api, Changes, KeyPlace, LeftOut, Scheme};
pub use documents::{Documents, RefError};
pub use limits::Limits;
pub use names::tool_name;
pub use node::{Map, Node};
pub use operation::{Operation, litellm_form};
pub use options::{Options, Overlay, Select};
pub use parse::ParseError;
pub use read::{ReadError, read};
pub use request::{CallError, Request};
pub use schema::Version;
