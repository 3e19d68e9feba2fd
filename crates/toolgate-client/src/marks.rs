//! Which arguments of tools a modern server wants to see in headers too, as far as its lists have told.
//!
//! Source: MCP 2026-07-28, Streamable HTTP, Custom Headers from Tool Parameters.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::value::RawValue;
use toolgate_mcp::headers::ParamHeaders;

/// The marked tools by name. It holds what the last whole list had.
#[derive(Default)]
pub(crate) struct Marks {
    /// `None` before the first list; guards the map only.
    tools: Mutex<Option<HashMap<String, ParamHeaders>>>,
}

impl Marks {
    pub(crate) fn are_known(&self) -> bool {
        self.lock().is_some()
    }

    pub(crate) fn keep(&self, tools: HashMap<String, ParamHeaders>) {
        *self.lock() = Some(tools);
    }

    /// Adds the headers of a call of the tool `name`, which replace others of their names.
    pub(crate) fn add_headers(&self, name: &str, arguments: &RawValue, headers: &mut HeaderMap) {
        let tools = self.lock();
        let Some(marked) = tools.as_ref().and_then(|tools| tools.get(name)) else { return };
        // Arguments that cannot be read are the server's to refuse.
        for (name, value) in marked.of_call(Some(arguments)).unwrap_or_default() {
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                headers.insert(name, value);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<String, ParamHeaders>>> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
