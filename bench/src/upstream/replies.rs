//! The prebuilt answers: JSON text with a gap where the id goes.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use serde_json::{Value, json};
use toolgate_mcp::version::Revision;

use super::Options;
use crate::answer;

const BEFORE_ID: &str = r#"{"jsonrpc":"2.0","id":"#;
const SSE_BEFORE: &str = "event: message\ndata: ";
const SSE_AFTER: &str = "\n\n";

/// All that the server can say.
pub(crate) struct Replies {
    initialize: Reply,
    list: Reply,
    call: Reply,
    pong: Reply,
    text: Bytes,
    sse: bool,
}

/// One answer but for its id.
pub(crate) struct Reply {
    before_id: &'static str,
    after_id: Bytes,
    sse: bool,
}

impl Replies {
    pub(crate) fn new(options: &Options) -> Self {
        let reply = |result: &Value| Reply::new(result, options.sse);
        let text = answer::text(options.answer_bytes);
        Self {
            initialize: reply(&json!({
                "protocolVersion": Revision::NEWEST_WITH_HANDSHAKE.name(),
                "capabilities": { "tools": { "listChanged": true } },
                "serverInfo": { "name": "toolgate-bench-upstream", "version": env!("CARGO_PKG_VERSION") },
            })),
            list: reply(&json!({ "tools": tools(options) })),
            call: reply(&json!({ "content": [{ "type": "text", "text": text }], "isError": false })),
            pong: reply(&json!({})),
            text: text.into(),
            sse: options.sse,
        }
    }

    /// The answer to `method`; `None` when the server does not serve it.
    pub(crate) fn find(&self, method: &str) -> Option<&Reply> {
        match method {
            "tools/call" => Some(&self.call),
            "tools/list" => Some(&self.list),
            "initialize" => Some(&self.initialize),
            "ping" => Some(&self.pong),
            _ => None,
        }
    }

    /// What every tool answers, as a REST API would say it.
    pub(crate) fn text(&self) -> Spliced {
        Spliced { head: Some(self.text.clone()), tail: None, chunked: false }
    }

    /// Numbers, as JSON without an envelope.
    pub(crate) fn plain(&self, counts: &super::control::Counts) -> Spliced {
        Spliced { head: Some(json!(counts).to_string().into()), tail: None, chunked: false }
    }

    /// A message that is complete, as a body.
    pub(crate) fn whole(&self, message: &[u8]) -> Spliced {
        if !self.sse {
            return Spliced { head: Some(Bytes::copy_from_slice(message)), tail: None, chunked: false };
        }
        let framed = [SSE_BEFORE.as_bytes(), message, SSE_AFTER.as_bytes()].concat();
        Spliced { head: Some(framed.into()), tail: None, chunked: true }
    }
}

impl Reply {
    fn new(result: &Value, sse: bool) -> Self {
        let after = if sse { SSE_AFTER } else { "" };
        let before_id = if sse { SSE_BEFORE } else { "" };
        Self { before_id, after_id: format!(r#","result":{result}}}{after}"#).into(), sse }
    }

    /// The answer to the request whose id is `id`, JSON text.
    pub(crate) fn with_id(&self, id: &str) -> Spliced {
        let head = [self.before_id, BEFORE_ID, id].concat();
        Spliced { head: Some(head.into()), tail: Some(self.after_id.clone()), chunked: self.sse }
    }
}

/// A body of two parts, of which the second is shared and never copied.
#[derive(Debug)]
pub(crate) struct Spliced {
    head: Option<Bytes>,
    tail: Option<Bytes>,
    /// Keeps the length to itself, as a server that streams does.
    chunked: bool,
}

impl Spliced {
    pub(crate) fn empty() -> Self {
        Self { head: None, tail: None, chunked: false }
    }
}

impl Body for Spliced {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let part = self.head.take().or_else(|| self.tail.take());
        Poll::Ready(part.map(|part| Ok(Frame::data(part))))
    }

    fn is_end_stream(&self) -> bool {
        self.head.is_none() && self.tail.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        if self.chunked {
            return SizeHint::default();
        }
        let parts = [&self.head, &self.tail];
        SizeHint::with_exact(parts.into_iter().flatten().map(|part| part.len() as u64).sum())
    }
}

fn tools(options: &Options) -> Vec<Value> {
    if options.prefixes.is_empty() {
        return (0..options.tools).map(|number| tool("", number)).collect();
    }
    let prefixes = options.prefixes.iter().map(|prefix| format!("{prefix}-"));
    prefixes.flat_map(|prefix| (0..options.tools).map(move |number| tool(&prefix, number))).collect()
}

/// A tool of the usual size: about 900 bytes, as those of the large public servers are.
fn tool(prefix: &str, number: u16) -> Value {
    let name = if number == 0 { "answer".to_owned() } else { format!("search_issues_{number:03}") };
    json!({
        "name": format!("{prefix}{name}"),
        "title": "Search issues",
        "description": "Searches issues and pull requests across repositories that the user can see. Results are \
            sorted by relevance unless `sort` says otherwise, at most 100 per page; use `page` for more.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "query": { "type": "string", "description": "What to search for, in the search syntax of the site." },
                "limit": { "type": "integer", "minimum": 1, "maximum": 100, "default": 20,
                    "description": "How many results to return." },
                "page": { "type": "integer", "minimum": 1, "description": "Which page of the results, from 1." },
                "sort": { "type": "string", "enum": ["created", "updated", "comments"],
                    "description": "What to sort by." },
                "include_body": { "type": "boolean", "default": false,
                    "description": "Whether to return the text of each issue as well." },
            },
            "required": ["query"],
            "additionalProperties": false,
        },
        "annotations": { "readOnlyHint": true, "openWorldHint": true },
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::answer::{Checker, Expected};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    fn replies(line: &str) -> Replies {
        Replies::new(&Line::parse_from(line.split_whitespace()).options)
    }

    async fn check(line: &str, method: &str, expected: Expected) {
        let body = replies(line).find(method).unwrap().with_id("41");
        let announced = body.size_hint().exact();
        let bytes = body.collect().await.unwrap().to_bytes();
        let is_sse = line.contains("--sse");
        assert_eq!(Checker::new(expected).check(StatusCode::OK, is_sse, &bytes, 41), Ok(()));
        assert_eq!(announced, (!is_sse).then_some(bytes.len() as u64));
    }

    #[tokio::test]
    async fn answers_are_what_the_load_expects() {
        check("upstream --answer-bytes 256", "tools/call", Expected::Text { bytes: 256 }).await;
        check("upstream --answer-bytes 65536 --sse", "tools/call", Expected::Text { bytes: 65_536 }).await;
        check("upstream --tools 50", "tools/list", Expected::Tools { count: 50 }).await;
        check("upstream --tools 50 --prefixes a,b,c", "tools/list", Expected::Tools { count: 150 }).await;
        check("upstream", "initialize", Expected::AnyResult).await;
    }

    #[test]
    fn a_tool_has_the_usual_size() {
        let bytes = tool("s0-", 7).to_string().len();
        assert!((700..1_100).contains(&bytes), "{bytes}");
    }

    #[test]
    fn a_method_that_is_not_served_has_no_answer() {
        assert!(replies("upstream").find("resources/list").is_none());
    }
}
