//! What must hold for any input. The property tests and the fuzz targets both call these.

use serde_json::Value;
use serde_json::value::RawValue;
use toolgate_mcp::depth;
use toolgate_mcp::edit::{self, Edit, Fields};
use toolgate_mcp::headers::{self, ParamHeaders, Received};
use toolgate_mcp::jsonrpc::{self, Id, Message, Outcome};
use toolgate_mcp::sse::{self, Decoder, Event};
use toolgate_mcp::stream::{Piece, Scanner, Translation};
use toolgate_mcp::translate::questions::{self, Answers, InputRequired};
use toolgate_mcp::translate::subscriptions::{self, Filter};
use toolgate_mcp::translate::{capabilities, errors, request, results, tokens, url_elicitation};
use toolgate_mcp::uri_template::Template;
use toolgate_mcp::uris;

/// Any bytes are a message or an error, and what is a message is JSON that `serde_json` reads as well.
pub fn parse(bytes: &[u8]) {
    let single = jsonrpc::parse(bytes);
    let body = jsonrpc::parse_body(bytes);
    assert!(single.is_err() || body.is_ok(), "a message must be a body");
    let Ok(message) = single else { return };
    assert!(serde_json::from_slice::<&RawValue>(bytes).is_ok(), "a message must be JSON");
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
    let new_id = serde_json::from_str::<&RawValue>("\"new\"").ok().and_then(Id::read).expect("an id");
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

/// A result that is translated in pieces is what is made of it as a whole, or is refused, or wants to be read whole.
pub fn translated(result: &str, method: &str, steps: &[usize]) {
    const INFO: &str = r#"{"name":"gate"}"#;
    let Ok(fields) = Fields::read(result) else {
        // A key that stands there twice and means nothing passes.
        let passed = pass_translated(result, Translation::to_modern(method, INFO, true), steps);
        return assert!(passed.is_none_or(|passed| Fields::read(&passed).is_err()), "{result}");
    };
    let said = |key: &str| fields.get(key).map(RawValue::get).filter(|text| *text != "null");
    let is_complete = said("resultType").is_none_or(|kind| kind == r#""complete""#);
    let passed = pass_translated(result, Translation::to_modern(method, INFO, true), steps);
    if let Some(passed) = passed.filter(|_| is_complete)
        && let Ok(whole) = results::to_modern(method, result, Some(INFO))
    {
        assert_eq!(members(&passed), members(&whole), "{result}");
    }
    if let Some(passed) = pass_translated(result, Translation::to_legacy(), steps) {
        let mut kept = members(result);
        let is_kept = |key: &str| match key {
            "resultType" => {
                said("resultType").and_then(|kind| serde_json::from_str::<String>(kind).ok()).as_deref()
                    != Some("complete")
            }
            "ttlMs" | "cacheScope" | "_meta/io.modelcontextprotocol/serverInfo" => false,
            _ => true,
        };
        kept.retain(|(key, _)| is_kept(key));
        assert_eq!(members(&passed), kept, "{result}");
    }
}

/// The members of an object and of its `_meta`, in an order of their own.
fn members(json: &str) -> Vec<(String, String)> {
    let mut members = texts(json, None);
    let meta = members.iter().position(|(key, _)| key == "_meta");
    if let Some(at) = meta
        && let Ok(fields) = Fields::read(&members[at].1.clone())
    {
        members[at].1 = "{}".to_owned();
        members.extend(fields.iter().map(|(key, value)| (format!("_meta/{key}"), value.get().to_owned())));
    }
    members.sort();
    members
}

/// `None`: it was refused, or wants to be read whole.
fn pass_translated(result: &str, to: Translation, steps: &[usize]) -> Option<String> {
    let message = bytes::Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":7,"result":{result}}}"#));
    let mut scanner = Scanner::translating(&Id::from(7), to);
    let mut out = Vec::new();
    let mut steps = steps.iter().copied().cycle();
    let mut at = 0;
    while at < message.len() {
        let next = (at + steps.next().unwrap_or(usize::MAX / 2)).min(message.len());
        let fed = scanner.feed(&message.slice(at..next), |piece| match piece {
            Piece::Text(bytes) => out.extend_from_slice(&bytes),
            Piece::Id => out.push(b'7'),
        });
        fed.ok()?;
        at = next;
    }
    if scanner.wants_whole() || scanner.finish().is_err() {
        return None;
    }
    let out = String::from_utf8(out).expect("text stays text");
    let result = out.strip_prefix(r#"{"jsonrpc":"2.0","id":7,"result":"#).and_then(|out| out.strip_suffix('}'));
    Some(result.expect("the envelope stays").to_owned())
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

/// What goes into a header comes out of it; and what can be read from one is what would be sent for it.
pub fn header_value(text: &str, received: &[u8]) {
    let sent = headers::encode(text);
    assert!(sent.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{sent:?}");
    assert_eq!(headers::decode(sent.as_bytes()).as_deref(), Ok(text));
    if let Ok(read) = headers::decode(received) {
        assert_eq!(headers::decode(headers::encode(&read).as_bytes()).as_deref(), Ok(&*read));
    }
}

/// The headers that a client sends for a call fit the call; one that is changed, doubled or left out does not.
pub fn param_headers(schema: &str, arguments: &str) {
    let (Some(schema), Some(arguments)) = (raw(schema), raw(arguments)) else { return };
    let Ok(known) = ParamHeaders::read(schema) else { return };
    let fit = |headers: &[(&str, String)]| {
        let received = Received::new(headers.iter().map(|(name, value)| (*name, value.as_bytes())));
        headers::check_params(&received, &known, Some(arguments))
    };
    let Ok(sent) = known.of_call(Some(arguments)) else {
        assert!(fit(&[]).is_err());
        return;
    };
    assert_eq!(fit(&sent), Ok(()));
    for at in 0..sent.len() {
        let mut changed = sent.clone();
        changed[at].1.push('x');
        assert!(fit(&changed).is_err(), "{changed:?}");
        let mut doubled = sent.clone();
        doubled.push(sent[at].clone());
        assert!(fit(&doubled).is_err(), "{doubled:?}");
        let mut fewer = sent.clone();
        let (_, value) = fewer.remove(at);
        let is_number = value.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
        assert!(fit(&fewer).is_err() || is_number, "{fewer:?}");
    }
}

/// A path that is set leads to its value, and to none when it is removed; the fields beside it stay.
pub fn path(json: &str, path: &[&str]) {
    let Some((key, _)) = path.split_first() else { return };
    let Ok(set) = edit::set_at(json, path, "[1e400]") else {
        assert!(edit::get_at(json, path).is_err() || edit::get_at(json, path).is_ok_and(|found| found.is_none()));
        return;
    };
    assert_eq!(texts(&set, Some(key)), texts(json, Some(key)));
    assert_eq!(edit::get_at(&set, path).expect("an object").map(RawValue::get), Some("[1e400]"));
    let removed = edit::remove_at(&set, path).expect("an object");
    assert!(edit::get_at(&removed, path).expect("an object").is_none());
    assert_eq!(texts(&removed, Some(key)), texts(json, Some(key)));
}

/// A retry holds its answers and its state, and all else that the request held.
pub fn retry(params: &str, responses: &[(String, String)], state: Option<&str>) {
    let state = state.map(jsonrpc::quote);
    let mut unique: Vec<(&str, &str)> = Vec::new();
    for (key, response) in responses.iter().filter(|(_, response)| raw(response).is_some()) {
        if !unique.iter().any(|(known, _)| known == key) {
            unique.push((key, response.trim_ascii()));
        }
    }
    let Ok(again) = questions::retry(params, unique.iter().copied(), state.as_deref()) else {
        assert!(Fields::read(params).is_err());
        return;
    };
    let first_request = |params: &str| {
        let plain = edit::remove_field(params, "inputResponses").expect("an object");
        edit::remove_field(&plain, "requestState").expect("an object")
    };
    assert_eq!(texts(&first_request(&again), None), texts(&first_request(params), None));
    let answers = Answers::read(raw(&again)).expect("answers");
    let read: Vec<(&str, &str)> = answers.responses.iter().map(|(key, answer)| (key.as_ref(), answer.get())).collect();
    assert_eq!(read, unique);
    assert_eq!(answers.request_state.as_deref().map(jsonrpc::quote), state);
}

/// Questions that are asked of a modern client are read as they were asked.
pub fn questions(asked: &[(String, &str, String)], state: &str) {
    let mut unique: Vec<(&str, &str, &str)> = Vec::new();
    for (key, method, params) in asked.iter().filter(|(_, _, params)| Fields::read(params).is_ok()) {
        if !unique.iter().any(|(known, ..)| known == key) {
            unique.push((key, method, params.trim_ascii()));
        }
    }
    let of = unique.iter().map(|(key, method, params)| (*key, *method, Some(*params)));
    let result = questions::input_required(of, Some(state));
    let read = InputRequired::read(&result).expect("questions").expect("questions");
    let read_questions: Vec<(&str, &str, &str)> = read
        .questions
        .iter()
        .map(|question| (question.key.as_ref(), question.method.as_ref(), question.params.map_or("", RawValue::get)))
        .collect();
    assert_eq!(read_questions, unique);
    assert_eq!(read.request_state, Some(jsonrpc::quote(state).as_str()));
}

/// A result for a modern client has all that it must have and all that was there; doing it again changes nothing.
pub fn results(method: &str, result: &str) {
    let ours = ["resultType", "ttlMs", "cacheScope", "_meta"];
    let others = |json: &str| -> Vec<(String, String)> {
        texts(json, None).into_iter().filter(|(key, _)| !ours.contains(&key.as_str())).collect()
    };
    let Ok(modern) = results::to_modern(method, result, Some(r#"{"name":"s","version":"1"}"#)) else { return };
    assert_eq!(others(&modern), others(result));
    assert_eq!(results::to_modern(method, &modern, Some(r#"{"name":"t","version":"2"}"#)).as_deref(), Ok(&*modern));
    let legacy = results::to_legacy(&modern).expect("an object");
    let kind = Fields::read(&legacy).expect("an object").get("resultType").map(RawValue::get);
    assert_ne!(kind, Some("\"complete\""));
    assert_eq!(others(&legacy), others(result));
}

/// A request says who asks, and says everything else that it said before; a legacy server does not hear who asks.
pub fn request_client(params: &str) {
    let stated = request::with_client(Some(params), "2026-07-28", "{}", Some(r#"{"name":"c"}"#), Some("info"));
    let Ok(stated) = stated else { return };
    let client = request::Client::read(raw(&stated)).expect("a client");
    assert_eq!(client.protocol_version, "2026-07-28");
    assert_eq!(texts(&stated, Some("_meta")), texts(params, Some("_meta")));
    let silent = request::without_client(&stated).expect("an object");
    assert_eq!(texts(&silent, Some("_meta")), texts(params, Some("_meta")));
    assert!(request::Client::read(raw(&silent)).is_err());
}

/// A filter is read as it was written, and joining one with itself changes nothing.
pub fn filter(params: &str) {
    let Ok(filter) = Filter::read(raw(params)) else { return };
    let written = format!(r#"{{"notifications":{}}}"#, filter.to_json());
    assert_eq!(Filter::read(raw(&written)), Ok(filter.clone()));
    let mut joined = filter.clone();
    joined.add(&filter);
    assert_eq!(joined, filter);
    assert_eq!(filter.acknowledged_by(&filter), filter);
}

/// URIs that are mapped there and back leave a result as it was; so does a map that knows none of them.
pub fn uris(method: &str, result: &str) {
    let Ok(same) = uris::in_result(method, result, &|_: &str| None) else { return };
    assert_eq!(same, result);
    let there = uris::in_result(method, result, &|uri: &str| Some(format!("p+{uri}"))).expect("as before");
    let back =
        uris::in_result(method, &there, &|uri: &str| uri.strip_prefix("p+").map(str::to_owned)).expect("as before");
    let value = |json: &str| serde_json::from_str::<Value>(json).ok();
    assert_eq!(value(&back), value(result));
}

/// No JSON whatever makes a translation panic, or give anything but JSON.
pub fn translations(json: &str) {
    let Some(json) = raw(json).map(RawValue::get) else { return };
    let id = Id::from(7);
    let given = [
        questions::to_modern(json).map(|text| text.into_owned()),
        url_elicitation::to_legacy(json, "e"),
        url_elicitation::from_url_required(json, Some("s")).map(Option::unwrap_or_default),
        errors::to_modern(json).map(|text| text.into_owned()),
        errors::to_legacy(json).map(|text| text.into_owned()),
        tokens::with_progress_token(json, "7").map(|text| text.into_owned()),
        tokens::progress_with_token(json, "7").map(|text| text.into_owned()),
        subscriptions::with_subscription_id(json, &id),
        subscriptions::without_subscription_id(json).map(|text| text.into_owned()),
        capabilities::of_client(json).map(|text| text.into_owned()),
        capabilities::of_server(json).map(|text| text.into_owned()),
        uris::in_item(json, &|_: &str| Some("x".to_owned())).map(|text| text.into_owned()),
        uris::in_error(json, &|_: &str| Some("x".to_owned())).map(|text| text.into_owned()),
    ];
    for text in given.into_iter().flatten().filter(|text| !text.is_empty()) {
        assert!(raw(&text).is_some(), "{json} became {text}");
    }
}

fn raw(json: &str) -> Option<&RawValue> {
    serde_json::from_str(json).ok()
}
