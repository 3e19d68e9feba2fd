//! What a server says of itself: in answer to `initialize` before 2026-07-28 ([`crate::views::Initialized`]), to
//! `server/discover` since.
//!
//! Source: MCP 2026-07-28, Discovery.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::edit::{self, Fields};
use crate::jsonrpc::{quote, string};
use crate::version::Revision;
use crate::views::{META_SERVER_INFO, ViewError, object_field, optional_string};

/// The result of `server/discover`.
#[derive(Debug, Clone)]
pub struct Discovered<'a> {
    /// The revisions that the server names. That a legacy one is missing does not say that it is not served.
    pub versions: Vec<Cow<'a, str>>,
    /// What the server can do: an object.
    pub capabilities: Option<&'a RawValue>,
    /// The server's name and version: an object.
    pub server_info: Option<&'a RawValue>,
    /// How to use the server, for the model.
    pub instructions: Option<Cow<'a, str>>,
}

impl<'a> Discovered<'a> {
    /// Reads the result, JSON text.
    ///
    /// # Errors
    /// [`ViewError`] when `supportedVersions` is not there, or a field has another type.
    pub fn read(result: &'a str) -> Result<Self, ViewError> {
        let fields = Fields::read(result)?;
        let present = |key| fields.get(key).filter(|raw| raw.get() != "null");
        let wrong = ViewError::WrongType { field: "supportedVersions", expected: "an array of strings" };
        let versions = present("supportedVersions").ok_or(ViewError::Missing("supportedVersions"))?;
        let versions: Vec<&'a RawValue> = serde_json::from_str(versions.get()).map_err(|_| wrong.clone())?;
        // Drafts of the revision had the field beside the capabilities, and servers of that time still do.
        let server_info = edit::get_at(result, &["_meta", META_SERVER_INFO])?.or_else(|| present("serverInfo"));
        Ok(Self {
            versions: versions.into_iter().map(string).collect::<Option<_>>().ok_or(wrong)?,
            capabilities: object_field("capabilities", present("capabilities"))?,
            server_info: object_field("serverInfo", server_info)?,
            instructions: optional_string("instructions", present("instructions"))?.map(|(_, text)| text),
        })
    }

    /// Whether the server names `revision`.
    #[must_use]
    pub fn serves(&self, revision: Revision) -> bool {
        self.versions.iter().any(|version| version == revision.name())
    }
}

/// The result of `server/discover` for a server with these raw `capabilities` and this raw `server_info`, not to be
/// kept by anybody: what the gateway offers hangs on who asks.
#[must_use]
pub fn discovered(versions: &[Revision], capabilities: &str, server_info: &str, instructions: Option<&str>) -> String {
    let versions: Vec<String> = versions.iter().map(|revision| quote(revision.name())).collect();
    let instructions = instructions.map(|text| format!(r#","instructions":{}"#, quote(text))).unwrap_or_default();
    format!(
        r#"{{"resultType":"complete","supportedVersions":[{}],"capabilities":{capabilities}{instructions},"ttlMs":0,"cacheScope":"private","_meta":{{"{META_SERVER_INFO}":{server_info}}}}}"#,
        versions.join(","),
    )
}
