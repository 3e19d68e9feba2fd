//! What must hold for any input. The property tests and the fuzz targets both call these.

use toolgate_mcp::depth;
use toolgate_mcp::edit::{self, Edit, Fields};
use toolgate_mcp::jsonrpc::{self, Id, Message, Outcome};
use toolgate_mcp::sse::{self, Decoder, Event};
use toolgate_mcp::stream::{Piece, Scanner};
use toolgate_mcp::uri_template::Template;

/// Any bytes are a message or an error, and what is a message is JSON that `serde_json` reads as well.
pub fn parse(bytes: &[u8]) {
    let single = jsonrpc::parse(bytes);
    let body = jsonrpc::parse_body(bytes);
    assert!(single.is_err() || body.is_ok(), "a message must be a body");
    let Ok(message) = single else { return };
    assert!(serde_json::from_slice::<&serde_json::value::RawValue>(bytes).is_ok(), "a message must be JSON");
    if let Message::Response(response) = message
        && let Some(id_text) = response.id_text
    {
        let raw = match response.outcome {
            Outcome::Result(raw) | Outcome::Error(raw) => raw.get(),
        };
        only_the_id_changes(bytes, id_text, raw);
    }
}

/// `with_id` keeps every byte around the id, and the outcome stays what it was.
pub fn only_the_id_changes(message: &[u8], id_text: &str, outcome: &str) {
    let before = id_text.as_ptr() as usize - message.as_ptr() as usize;
    let after = message.len() - before - id_text.len();
    let changed = jsonrpc::with_id(message, id_text, &Id::from(u64::MAX));
    let new_id = u64::MAX.to_string();
    assert_eq!(changed.len(), before + new_id.len() + after);
    assert_eq!(changed[..before], message[..before]);
    assert_eq!(changed[before..before + new_id.len()], *new_id.as_bytes());
    assert_eq!(changed[changed.len() - after..], message[message.len() - after..]);
    let Ok(Message::Response(response)) = jsonrpc::parse(&changed) else { panic!("no longer a response") };
    assert_eq!(response.id, Some(Id::from(u64::MAX)));
    let (Outcome::Result(raw) | Outcome::Error(raw)) = response.outcome;
    assert_eq!(raw.get(), outcome);
}

/// A response to 7 that is cut into pieces passes the scanner exactly when it can be parsed, and comes out as
/// `with_id` makes it.
pub fn stream(message: &[u8], steps: &[usize]) {
    let whole = bytes::Bytes::copy_from_slice(message);
    let mut scanner = Scanner::new(&Id::from(7));
    let mut out = Vec::new();
    let mut steps = steps.iter().copied().cycle();
    let (mut at, mut fed) = (0, Ok(()));
    while at < whole.len() && fed.is_ok() {
        let next = (at + steps.next().unwrap_or(usize::MAX / 2)).min(whole.len());
        fed = scanner.feed(&whole.slice(at..next), |piece| match piece {
            Piece::Text(bytes) => out.extend_from_slice(&bytes),
            Piece::Id => out.extend_from_slice(b"\"new\""),
        });
        at = next;
    }
    let passed = fed.and_then(|()| scanner.finish());
    let new_id =
        serde_json::from_str::<&serde_json::value::RawValue>("\"new\"").ok().and_then(Id::read).expect("an id");
    let expected = match jsonrpc::parse(message) {
        Ok(Message::Response(response)) if response.id == Some(Id::from(7)) => {
            let changed = jsonrpc::with_id(message, response.id_text.expect("an id"), &new_id);
            Some((changed, matches!(response.outcome, Outcome::Result(_))))
        }
        _ => None,
    };
    let text = String::from_utf8_lossy(message);
    match expected {
        Some((changed, is_result)) => {
            assert_eq!(passed, Ok(()), "{text}");
            assert_eq!(out, changed, "{text}");
            assert!(scanner.is_result().is_none_or(|said| said == is_result), "{text}");
        }
        None => assert!(passed.is_err(), "{text}"),
    }
}

/// Setting, replacing and removing a field leaves all others, in their order, as the text that they were.
pub fn edit(json: &str, key: &str) {
    let Ok(fields) = Fields::read(json) else {
        assert!(edit::set_field(json, key, "1").is_err() && edit::remove_field(json, key).is_err());
        return;
    };
    let others = texts(json, Some(key));
    let set = edit::set_field(json, key, "[1e400]").expect("an object");
    assert_eq!(Fields::read(&set).expect("an object").get(key).map(|raw| raw.get()), Some("[1e400]"));
    assert_eq!(texts(&set, Some(key)), others);
    let removed = edit::remove_field(&set, key).expect("an object");
    assert_eq!(texts(&removed, None), others);
    if fields.get(key).is_none() {
        assert_eq!(removed, json, "setting and removing a new field leaves no trace");
    }
    let mut all = Edit::new(json);
    for (_, value) in fields.iter() {
        all.replace(value.get(), "0");
    }
    assert!(texts(&all.finish(), None).iter().all(|(_, value)| value == "0"));
}

fn texts(json: &str, without: Option<&str>) -> Vec<(String, String)> {
    let fields = Fields::read(json).expect("an object");
    let kept = fields.iter().filter(|(key, _)| Some(*key) != without);
    kept.map(|(key, value)| (key.to_owned(), value.get().to_owned())).collect()
}

/// However a stream is cut, it decodes to the same events, and never to more than the cap in one.
pub fn sse_decode(stream: &[u8], steps: &[usize], cap_bytes: usize) {
    let whole = decode(stream, &[], cap_bytes);
    let cut = decode(stream, steps, cap_bytes);
    assert_eq!(whole, cut);
    assert!(whole.0.iter().all(|event| event.data.len() <= cap_bytes));
}

/// What is encoded decodes to the same, but for line breaks, of which JSON has none that matter.
pub fn sse_round_trip(payloads: &[Vec<u8>], steps: &[usize]) {
    let mut stream = Vec::new();
    for (number, payload) in payloads.iter().enumerate() {
        stream.extend_from_slice(&sse::encode(Some("message"), Some(&number.to_string()), payload));
        stream.extend_from_slice(sse::KEEP_ALIVE);
    }
    let (events, refused) = decode(&stream, steps, stream.len());
    assert!(!refused);
    assert_eq!(events.len(), payloads.len());
    for (number, (event, payload)) in events.iter().zip(payloads).enumerate() {
        let lines: Vec<&[u8]> =
            payload.split(|byte| matches!(byte, b'\n' | b'\r')).filter(|line| !line.is_empty()).collect();
        assert_eq!(event.data, lines.join(&b'\n'));
        assert_eq!(event.id.as_deref(), Some(number.to_string().as_str()));
        assert_eq!(event.event.as_deref(), Some("message"));
    }
}

/// The events of `stream`, given in pieces of `steps` bytes in turn, and whether the cap ended it.
fn decode(stream: &[u8], steps: &[usize], cap_bytes: usize) -> (Vec<Event>, bool) {
    let mut decoder = Decoder::new(cap_bytes);
    let mut events = Vec::new();
    let mut steps = steps.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let step = steps.next().map_or(rest.len(), |step| (*step).clamp(1, rest.len()));
        let (chunk, after) = rest.split_at(step);
        rest = after;
        decoder.push(chunk);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(_) => return (events, true),
            }
        }
    }
    (events, false)
}

/// For valid JSON, the depth is the one at which `serde_json` stops reading.
pub fn depth(json: &str) {
    let read: Result<serde_json::Value, _> = serde_json::from_str(json);
    let too_deep = read.as_ref().is_err_and(|error| error.to_string().contains("recursion limit"));
    if read.is_ok() || too_deep {
        assert_eq!(depth::within(json.as_bytes(), depth::MAX_DEPTH), read.is_ok());
    }
}

/// Any text is a template or none, and matching ends; a template without expressions matches itself alone.
pub fn uri_template(template: &str, uri: &str) {
    let Some(parsed) = Template::parse(template) else { return };
    let matches = parsed.matches(uri);
    if !template.contains('{') {
        assert_eq!(matches, template == uri);
        assert_eq!(parsed.literal_bytes(), template.len());
    }
}
