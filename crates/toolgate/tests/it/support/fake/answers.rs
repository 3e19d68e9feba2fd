//! Answers that come whole: as scripted, or as a well-behaved server gives them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::script::Scripted;
use super::streams::{events, streamed};
use super::{Played, Seen};

impl Played {
    pub(super) async fn scripted(self: Arc<Self>, seen: &Seen, scripted: &Scripted) -> Response {
        match scripted {
            Scripted::Result(result) => self.result(seen, result),
            Scripted::Streamed(result) => streamed(seen, result),
            Scripted::Mirror { streamed: false } => self.result(seen, mirrored(seen)),
            Scripted::Mirror { streamed: true } => streamed(seen, mirrored(seen)),
            Scripted::Error(code, message) => error(seen, *code, message),
            Scripted::Raw(message) => {
                let message = message.replacen("ID", &seen.message["id"].to_string(), 1);
                ([("content-type", "application/json")], message).into_response()
            }
            Scripted::Pages(key, pages) => self.result(seen, &page(seen, key, pages)),
            Scripted::Http(status, content_type, body) => {
                (StatusCode::from_u16(*status).unwrap(), [("content-type", *content_type)], body.clone())
                    .into_response()
            }
            Scripted::Endless(content_type) => {
                let start = if *content_type == "text/event-stream" { "data: {\"" } else { "{\"" };
                let body = stream::unfold(Bytes::from(start), move |chunk| {
                    let played = self.clone();
                    async move {
                        played.endless_bytes.fetch_add(chunk.len() as u64, Ordering::SeqCst);
                        Some((Ok::<_, std::io::Error>(chunk), Bytes::from_static(&[b'x'; 16 * 1024])))
                    }
                });
                ([("content-type", *content_type)], Body::from_stream(body)).into_response()
            }
            Scripted::Repeated(content_type, text) => {
                let piece = Bytes::from(text.repeat(64));
                let body = stream::repeat_with(move || Ok::<_, std::io::Error>(piece.clone()));
                ([("content-type", *content_type)], Body::from_stream(body)).into_response()
            }
            Scripted::Broken => {
                let body = stream::once(async { Err::<Bytes, _>(std::io::Error::other("breaks off")) });
                ([("content-type", "application/json")], Body::from_stream(body)).into_response()
            }
            Scripted::InTurn(answers) => {
                let before = self.seen.lock().unwrap().iter().filter(|other| other.method() == seen.method()).count();
                let answer = &answers[before.min(answers.len()) - 1];
                Box::pin(self.scripted(seen, answer)).await
            }
            Scripted::Resumable(talk, again) => {
                let is_taken_up = seen.header("last-event-id").is_some();
                self.talk(seen, if is_taken_up { again.clone() } else { talk.clone() })
            }
            Scripted::Silence => std::future::pending().await,
            Scripted::Held(result) => {
                self.released.subscribe().wait_for(|released| *released).await.unwrap();
                self.result(seen, result)
            }
            Scripted::Talk(talk) => self.talk(seen, talk.clone()),
            Scripted::Asks(rounds) => {
                let (events, body) = events();
                tokio::spawn(self.clone().ask(seen.clone(), rounds.clone(), events));
                body
            }
            Scripted::Speaks => {
                let (events, body) = events();
                let mut said = self.said.subscribe();
                tokio::spawn(async move {
                    while let Ok(message) = said.recv().await {
                        if events.send(message).await.is_err() {
                            return;
                        }
                    }
                });
                body
            }
            Scripted::Says(messages, result) => {
                let (events, body) = events();
                let (messages, answer) = (messages.clone(), envelope(seen, result));
                let played = self.clone();
                tokio::spawn(async move {
                    for message in messages {
                        events.send(message.to_string()).await.ok();
                    }
                    played.released.subscribe().wait_for(|released| *released).await.unwrap();
                    events.send(answer).await.ok();
                });
                body
            }
            Scripted::Halves { result, breaks } => {
                let mut first = Bytes::from(envelope(seen, result));
                let second = first.split_off(first.len() / 2);
                let second = if *breaks { Err(std::io::Error::other("breaks off")) } else { Ok(second) };
                let rest = stream::once(async move {
                    self.released.subscribe().wait_for(|released| *released).await.unwrap();
                    second
                });
                let body = stream::once(async { Ok(first) }).chain(rest);
                ([("content-type", "application/json")], Body::from_stream(body)).into_response()
            }
        }
    }

    /// What a well-behaved server answers.
    pub(super) fn plain(&self, seen: &Seen) -> Response {
        if seen.verb == Method::DELETE {
            return StatusCode::OK.into_response();
        }
        if seen.verb != Method::POST {
            return StatusCode::METHOD_NOT_ALLOWED.into_response();
        }
        if seen.message.get("method").is_none() {
            return StatusCode::ACCEPTED.into_response();
        }
        let params = &seen.message["params"];
        let result = match seen.method() {
            method if method.starts_with("notifications/") => return StatusCode::ACCEPTED.into_response(),
            "initialize" => json!({
                "protocolVersion": agreed(&params["protocolVersion"]),
                "capabilities": {
                    "tools": {}, "prompts": {}, "resources": {"subscribe": true}, "completions": {}, "logging": {}
                },
                "serverInfo": {"name": "fake", "version": "1"},
            }),
            "ping" | "logging/setLevel" => json!({}),
            "tools/list" => json!({"tools": []}),
            "prompts/list" => json!({"prompts": []}),
            "resources/list" => json!({"resources": []}),
            "resources/templates/list" => json!({"resourceTemplates": []}),
            "tools/call" => {
                let text = json!({"name": params["name"], "arguments": params["arguments"]}).to_string();
                json!({"content": [{"type": "text", "text": text}]})
            }
            "resources/read" if !self.has(&params["uri"]) => return error(seen, -32002, "Resource not found"),
            "resources/read" => json!({"contents": [{"uri": params["uri"], "text": self.session()}]}),
            _ => return error(seen, -32601, "Method not found"),
        };
        self.result(seen, &result.to_string())
    }

    fn has(&self, uri: &Value) -> bool {
        self.script.uris.as_ref().is_none_or(|uris| uris.iter().any(|known| uri == known))
    }

    fn result(&self, seen: &Seen, result: &str) -> Response {
        let mut response = ([("content-type", "application/json")], envelope(seen, result)).into_response();
        if self.script.sessions && seen.method() == "initialize" {
            response.headers_mut().insert("mcp-session-id", self.session().parse().unwrap());
        }
        response
    }
}

fn error(seen: &Seen, code: i32, message: &str) -> Response {
    let error = json!({"jsonrpc": "2.0", "id": seen.message["id"], "error": {"code": code, "message": message}});
    ([("content-type", "application/json")], error.to_string()).into_response()
}

/// The revision asked for if a legacy server knows it, else the newest that has a handshake.
fn agreed(asked: &Value) -> &str {
    let known = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"];
    asked.as_str().filter(|asked| known.contains(asked)).unwrap_or("2025-11-25")
}

fn mirrored(seen: &Seen) -> &str {
    seen.message["params"]["arguments"]["result"].as_str().expect("the argument `result` is a string")
}

pub(super) fn envelope(seen: &Seen, result: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":{result}}}"#, seen.message["id"])
}

fn page(seen: &Seen, key: &str, pages: &[Vec<Value>]) -> String {
    let number: usize = seen.message["params"]["cursor"].as_str().map_or(0, |cursor| cursor.parse().unwrap());
    let mut result = json!({ key: pages[number] });
    if number + 1 < pages.len() {
        result["nextCursor"] = json!((number + 1).to_string());
    }
    result.to_string()
}
