//! Answers that come as event streams, on which the server speaks, asks and listens.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::answers::envelope;
use super::script::Talk;
use super::{Played, Seen};

impl Played {
    pub(super) fn talk(self: Arc<Self>, seen: &Seen, talk: Vec<Talk>) -> Response {
        let (id, token) =
            (seen.message["id"].to_string(), seen.message["params"]["_meta"]["progressToken"].to_string());
        let said = self.said.subscribe();
        let start = (self, talk.into_iter(), "null".to_owned(), said);
        let steps = stream::unfold(start, move |(played, mut talk, mut heard, mut said)| {
            let (id, token) = (id.clone(), token.clone());
            async move {
                let event = match talk.next()? {
                    Talk::Said => Some(said.recv().await.unwrap().replace("\"$id\"", &id)),
                    Talk::Says(message) => Some(message.replace("$id", &id).replace("$token", &token)),
                    Talk::Answers(result) => {
                        let heard = serde_json::to_string(&heard).unwrap();
                        Some(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{}}}"#, result.replace("$heard", &heard)))
                    }
                    Talk::Numbered(number, message) => {
                        let event = format!("id: {number}\nretry: 100\ndata: {message}\n\n");
                        return Some((Ok(Bytes::from(event)), (played, talk, heard, said)));
                    }
                    Talk::Awaits(method) => {
                        let mut count = played.count.subscribe();
                        let has_come = || played.seen.lock().unwrap().iter().any(|seen| seen.method() == method);
                        count.wait_for(|_| has_come()).await.unwrap();
                        None
                    }
                    Talk::Hears(question) => {
                        heard = played.heard(question).await;
                        None
                    }
                    Talk::Held => {
                        played.released.subscribe().wait_for(|released| *released).await.unwrap();
                        None
                    }
                };
                let bytes = event.map(|message| Bytes::from(format!("event: message\ndata: {message}\n\n")));
                Some((Ok::<_, std::io::Error>(bytes.unwrap_or_default()), (played, talk, heard, said)))
            }
        });
        ([("content-type", "text/event-stream")], Body::from_stream(steps)).into_response()
    }

    /// Waits for the client's answer to the server's request with this id.
    async fn heard(&self, id: &str) -> String {
        let id: Value = serde_json::from_str(id).unwrap();
        let found = || {
            let seen = self.seen.lock().unwrap();
            let answer =
                seen.iter().find(|seen| seen.message.get("method").is_none() && seen.message.get("id") == Some(&id));
            answer.map(|seen| String::from_utf8(seen.body.to_vec()).unwrap())
        };
        let mut count = self.count.subscribe();
        count.wait_for(|_| found().is_some()).await.unwrap();
        found().unwrap()
    }

    pub(super) async fn ask(
        self: Arc<Self>,
        call: Seen,
        rounds: Vec<Vec<(&'static str, Value)>>,
        events: mpsc::Sender<String>,
    ) {
        let mut answers = Vec::new();
        // Two sessions may have calls of the same id.
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        for (round, questions) in rounds.into_iter().enumerate() {
            let id = |at: usize| json!(format!("{number}-{round}-{at}"));
            for (at, (method, params)) in questions.iter().enumerate() {
                let question = json!({"jsonrpc": "2.0", "id": id(at), "method": method, "params": params});
                if events.send(question.to_string()).await.is_err() {
                    return;
                }
            }
            for at in 0..questions.len() {
                let answer = tokio::select! {
                    answer = self.answer_to(id(at)) => answer,
                    () = events.closed() => return,
                };
                answers.push(answer.get("result").or(answer.get("error")).unwrap().clone());
            }
        }
        let result = json!({"content": [{"type": "text", "text": json!(answers).to_string()}]});
        events.send(envelope(&call, &result.to_string())).await.ok();
    }

    /// The client's answer to a question of ours.
    async fn answer_to(&self, id: Value) -> Value {
        let mut count = self.count.subscribe();
        loop {
            count.borrow_and_update();
            let is_it = |message: &Value| message.get("method").is_none() && message["id"] == id;
            let found = self.seen.lock().unwrap().iter().find(|seen| is_it(&seen.message)).cloned();
            match found {
                Some(answer) => return answer.message,
                None => count.changed().await.unwrap(),
            }
        }
    }
}

/// A stream as servers send it: a comment, a notification, then the answer.
pub(super) fn streamed(seen: &Seen, result: &str) -> Response {
    let notification = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":1}}"#;
    let answer = envelope(seen, result).replace('\n', "\ndata: ");
    let text = format!(": hello\n\nevent: message\ndata: {notification}\n\nevent: message\ndata: {answer}\n\n");
    ([("content-type", "text/event-stream")], text).into_response()
}

/// A stream of messages, sent as they are put in.
pub(super) fn events() -> (mpsc::Sender<String>, Response) {
    let (sender, receiver) = mpsc::channel::<String>(8);
    let body = stream::unfold(receiver, async |mut receiver| {
        let message = receiver.recv().await?;
        Some((Ok::<_, std::io::Error>(Bytes::from(format!("event: message\ndata: {message}\n\n"))), receiver))
    });
    (sender, ([("content-type", "text/event-stream")], Body::from_stream(body)).into_response())
}
