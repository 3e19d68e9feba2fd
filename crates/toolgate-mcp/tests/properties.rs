//! Properties that hold for any input; the fuzz targets under `fuzz/` run the same bodies.

#[path = "properties/bodies.rs"]
mod bodies;
#[path = "properties/oracle.rs"]
mod oracle;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

/// JSON text as a person or a program might write it: blanks, escapes, big numbers, repeated keys of all kinds.
fn json() -> impl Strategy<Value = String> {
    let scalar = prop_oneof![
        select(vec!["null", "true", "-0", "1e400", "12345678901234567890123", "1.50", r#""\ud800""#, r#""}],:{[""#])
            .prop_map(str::to_owned),
        any::<String>().prop_map(|text| quote(&text)),
    ];
    scalar.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            (vec(inner.clone(), 0..4), blank())
                .prop_map(|(items, blank)| { format!("[{blank}{}]", items.join(&format!("{blank},"))) }),
            object(inner),
        ]
    })
}

fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let field = (key(), blank(), value).prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}{blank}"));
    (blank(), vec(field, 0..5), blank())
        .prop_map(|(before, fields, after)| format!("{before}{{{after}{}}}{after}", fields.join(&format!(",{before}"))))
}

fn key() -> impl Strategy<Value = String> {
    let known = ["jsonrpc", "id", "method", "params", "result", "error", "a", "b", "a\u{0}", ""];
    prop_oneof![
        select(known.map(quote).to_vec()),
        Just(r#""\u0061""#.to_owned()),
        any::<String>().prop_map(|text| quote(&text)),
    ]
}

fn envelope_key() -> impl Strategy<Value = &'static str> {
    select(vec![
        r#""id""#,
        r#""id""#,
        r#""method""#,
        r#""method""#,
        r#""params""#,
        r#""result""#,
        r#""error""#,
        r#""jsonrpc""#,
        r#""\u0069d""#,
        r#""a""#,
        r#""a""#,
        r#""\ud800""#,
    ])
}

fn envelope_value() -> impl Strategy<Value = String> {
    let values = ["7", "\"7\"", "\"ping\"", "\"tools\\/call\"", "\"2.0\"", "null", "{}", "[]", "-1.5e3", "07"];
    select(values.to_vec()).prop_map(str::to_owned)
}

fn blank() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\n\t", "\r\n "])
}

fn quote(text: impl AsRef<str>) -> String {
    toolgate_mcp::jsonrpc::quote(text.as_ref())
}

/// Bytes that are often nearly an event stream.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        ["data", ":", " ", "id: 1", "event: e", "retry: 5", "\n", "\n\n", "\r", "\r\n", "x", "\u{feff}", "{}", "\0"];
    let piece = prop_oneof![
        8 => select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Text that is often nearly a template.
fn template() -> impl Strategy<Value = String> {
    let pieces =
        ["{", "}", "{a}", "{+a}", "{/a*}", "{?a,b}", "{&a*}", "{;a}", "{#a}", "{.a:3}", "a", "/", "=", "é", "&", "?"];
    vec(select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

fn uri() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "/", "?", "&", "=", ";", "#", ".", "é", "a=1"]), 0..30).prop_map(|pieces| pieces.concat())
}

/// JSON that is often nearly something of MCP.
fn mcp() -> impl Strategy<Value = String> {
    let words = [
        "complete",
        "input_required",
        "task",
        "resource_link",
        "resource",
        "text",
        "url",
        "file:///a",
        "p+x",
        "info",
        "string",
        "integer",
        "boolean",
        "Region",
        "roots/list",
        "elicitation/create",
        "é",
        " a ",
        "",
    ];
    let scalar = prop_oneof![
        4 => select(words.map(quote).to_vec()),
        2 => select(vec!["null", "true", "false", "-32042", "-32002", "-32021", "42.0", "1e400"]).prop_map(str::to_owned),
        1 => any::<i64>().prop_map(|number| number.to_string()),
    ];
    scalar.prop_recursive(6, 40, 5, |inner| {
        prop_oneof![
            1 => vec(inner.clone(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            4 => mcp_object(inner),
        ]
    })
}

fn mcp_object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let keys = [
        "_meta",
        "params",
        "result",
        "content",
        "contents",
        "messages",
        "resource",
        "uri",
        "type",
        "ui",
        "resourceUri",
        "resultType",
        "ttlMs",
        "cacheScope",
        "inputRequests",
        "inputResponses",
        "requestState",
        "method",
        "code",
        "data",
        "elicitations",
        "notifications",
        "toolsListChanged",
        "resourceSubscriptions",
        "taskIds",
        "x/y",
        "extensions",
        "tools",
        "listChanged",
        "roots",
        "tasks",
        "properties",
        "items",
        "x-mcp-header",
        "a",
        "b",
        "progressToken",
        "requestId",
        "elicitationId",
        "mode",
        "ref",
        "level",
    ];
    vec((select(keys.to_vec()), blank(), value), 0..6).prop_map(|fields| {
        let mut seen = Vec::new();
        let mut parts = Vec::new();
        for (key, blank, value) in fields {
            if !seen.contains(&key) {
                seen.push(key);
                parts.push(format!("\"{key}\":{blank}{value}"));
            }
        }
        format!("{{{}}}", parts.join(","))
    })
}

/// A schema with marks that are often valid, and arguments that often have what is marked.
fn marked_call() -> impl Strategy<Value = (String, String)> {
    let kinds = select(vec!["string", "integer", "boolean", "number"]);
    let values = prop_oneof![
        any::<String>().prop_map(quote),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| serde_json::to_string(&number).unwrap_or_default()),
        select(vec!["true", "null", "4.20e1", "1e400", "-0", "9007199254740993", "[1]", "{}"]).prop_map(str::to_owned),
    ];
    vec((any::<bool>(), kinds, any::<bool>(), any::<bool>(), values), 0..5).prop_map(|arguments| {
        let (mut schema, mut call) = (Vec::new(), Vec::new());
        for (at, (marked, kind, nested, given, value)) in arguments.into_iter().enumerate() {
            let mark = if marked { format!(r#","x-mcp-header":"P{at}""#) } else { String::new() };
            let property = format!(r#""p{at}":{{"type":"{kind}"{mark}}}"#);
            let argument = if given { format!(r#""p{at}":{value}"#) } else { format!(r#""q{at}":{value}"#) };
            if nested {
                schema.push(format!(r#""o{at}":{{"type":"object","properties":{{{property}}}}}"#));
                call.push(format!(r#""o{at}":{{{argument}}}"#));
            } else {
                schema.push(property);
                call.push(argument);
            }
        }
        (format!(r#"{{"properties":{{{}}}}}"#, schema.join(",")), format!("{{{}}}", call.join(",")))
    })
}

/// A result with URIs wherever one can stand.
fn linked_result() -> impl Strategy<Value = String> {
    let uri = || select(vec![r#""file:\/\/\/a""#, r#""p+x""#, r#""\u00e9""#, r#""""#, "null", "1"]);
    let block = || {
        let interface = (uri(), uri())
            .prop_map(|(one, other)| format!(r#"{{"ui":{{"resourceUri":{one}}},"ui/resourceUri":{other}}}"#));
        (select(vec!["resource_link", "resource", "text"]), uri(), uri(), interface, blank()).prop_map(
            |(kind, one, other, meta, blank)| {
                format!(r#"{{"type":"{kind}","uri":{blank}{one},"resource":{{"uri":{other}}}{blank},"_meta":{meta}}}"#)
            },
        )
    };
    let blocks = || prop_oneof![4 => vec(prop_oneof![4 => block(), 1 => mcp()], 0..4).prop_map(|all| format!("[{}]", all.join(","))), 1 => block(), 1 => mcp()];
    (blocks(), blocks(), blocks(), mcp()).prop_map(|(content, contents, message, meta)| {
        format!(
            r#"{{"content":{content},"contents":{contents},"messages":[{{"role":"user","content":{message}}}],"_meta":{meta}}}"#
        )
    })
}

/// A message, or an error, with what translations look for.
fn message() -> impl Strategy<Value = String> {
    let values = vec(prop_oneof![2 => mcp(), 1 => select(vec!["7", "\"t\"", "{}"]).prop_map(str::to_owned)], 6);
    (values, any::<bool>()).prop_map(|(v, is_error)| {
        if is_error {
            return format!(
                r#"{{"code":-32042,"message":{},"data":{{"elicitations":[{},{{"url":{}}}]}}}}"#,
                v[0], v[1], v[2]
            );
        }
        format!(
            r#"{{"params":{{"progressToken":{},"requestId":{},"uri":{},"_meta":{}}},"ref":{{"uri":{}}},"_meta":{{"progressToken":{}}}}}"#,
            v[0], v[1], v[2], v[3], v[4], v[5]
        )
    })
}

fn result_method() -> impl Strategy<Value = &'static str> {
    select(vec!["tools/call", "prompts/get", "resources/read", "tools/list", "completion/complete", "server/discover"])
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_an_error(bytes in vec(any::<u8>(), 0..200)) {
        bodies::parse(&bytes);
        oracle::agrees(&bytes);
    }

    #[test]
    fn any_json_is_a_message_or_an_error(json in json()) {
        bodies::parse(json.as_bytes());
        oracle::agrees(json.as_bytes());
    }

    #[test]
    fn an_answer_changes_nothing_but_its_id(
        id in prop_oneof![any::<i64>().prop_map(|id| id.to_string()), any::<String>().prop_map(quote)],
        outcome in json(),
        extra in json(),
        blank in blank(),
        is_error in any::<bool>(),
    ) {
        let kind = if is_error { "error" } else { "result" };
        let message = format!(r#"{{{blank}"x":{extra},"id":{blank}{id}{blank},"{kind}":{outcome},{blank}"jsonrpc":"2.0"}}{blank}"#);
        let Ok(toolgate_mcp::jsonrpc::Message::Response(response)) = toolgate_mcp::jsonrpc::parse(message.as_bytes()) else {
            panic!("{message} is a response");
        };
        bodies::only_the_id_changes(message.as_bytes(), response.id_text.expect("an id"), outcome.trim());
    }

    #[test]
    fn an_answer_that_passes_is_the_answer_that_is_parsed(
        fields in vec((key(), prop_oneof![json(), select(vec!["7", "7", "\"2.0\"", "null"]).prop_map(str::to_owned)]), 0..3),
        order in any::<usize>(),
        blank in blank(),
        outcome in json(),
        broken in proptest::option::of((any::<usize>(), any::<u8>())),
        steps in vec(1usize..9, 0..6),
    ) {
        let mut fields: Vec<String> = fields.into_iter().map(|(key, value)| format!("{key}:{blank}{value}")).collect();
        let common = [r#""jsonrpc":"2.0""#.to_owned(), format!(r#""id"{blank}:7{blank}"#), format!(r#""result":{outcome}"#)];
        for (at, field) in common.into_iter().enumerate() {
            fields.insert((order >> (at * 4)) % (fields.len() + 1), field);
        }
        let mut message = format!("{blank}{{{}}}{blank}", fields.join(",")).into_bytes();
        bodies::stream(&message, &steps);
        if let Some((at, byte)) = broken {
            let at = at % message.len();
            message[at] = byte;
            bodies::stream(&message, &steps);
            bodies::stream(&message[..at], &steps);
        }
    }

    #[test]
    fn a_message_is_what_serde_json_alone_makes_of_it(
        fields in vec((envelope_key(), prop_oneof![envelope_value(), json()]), 0..6),
        blank in blank(),
        is_batch in any::<bool>(),
        broken in proptest::option::of((any::<usize>(), any::<u8>())),
    ) {
        let fields: Vec<String> =
            fields.into_iter().map(|(key, value)| format!("{blank}{key}{blank}:{blank}{value}{blank}")).collect();
        let message = format!(r#"{{"jsonrpc":"2.0",{}}}"#, fields.join(",")).replace(",}", "}");
        let mut message = if is_batch { format!("{blank}[{message}]{blank}") } else { message }.into_bytes();
        oracle::agrees(&message);
        if let Some((at, byte)) = broken {
            let at = at % message.len();
            oracle::agrees(&message[..at]);
            message[at] = byte;
            oracle::agrees(&message);
        }
    }

    #[test]
    fn an_edit_leaves_the_other_fields_alone(json in object(json()), key in prop_oneof![Just("a".to_owned()), any::<String>()]) {
        bodies::edit(&json, &key);
    }

    #[test]
    fn an_edit_of_anything_else_is_an_error(json in any::<String>()) {
        bodies::edit(&json, "a");
    }

    #[test]
    fn a_stream_decodes_the_same_however_it_is_cut(stream in stream(), steps in vec(1usize..9, 0..6), cap in 0usize..40) {
        bodies::sse_decode(&stream, &steps, cap);
    }

    #[test]
    fn events_come_back_as_they_were_sent(
        payloads in vec(prop_oneof![json().prop_map(String::into_bytes), vec(any::<u8>(), 0..20)], 0..5),
        steps in vec(1usize..50, 0..6),
    ) {
        bodies::sse_round_trip(&payloads, &steps);
    }

    #[test]
    fn depth_is_what_serde_json_makes_of_it(opened in 100usize..160, objects in any::<u64>(), inner in json()) {
        let kinds: Vec<bool> = (0..opened).map(|at| objects >> (at % 64) & 1 == 1).collect();
        let open: String = kinds.iter().map(|object| if *object { r#"{"[{":"# } else { "[" }).collect();
        let close: String = kinds.iter().rev().map(|object| if *object { '}' } else { ']' }).collect();
        bodies::depth(&format!("{open}{inner}{close}"));
    }

    #[test]
    fn any_text_is_a_template_or_none(template in prop_oneof![template(), any::<String>()], uri in uri()) {
        bodies::uri_template(&template, &uri);
        bodies::uri_template(&template, &template);
    }

    #[test]
    fn a_headers_value_comes_back(text in any::<String>(), received in vec(select(b"=?base64YQ? \ta\xc3".to_vec()), 0..30)) {
        bodies::header_value(&text, &received);
        bodies::header_value(&format!("=?base64?{text}?="), text.as_bytes());
    }

    #[test]
    fn headers_fit_the_call_that_they_are_made_for((schema, arguments) in marked_call(), any in mcp()) {
        bodies::param_headers(&schema, &arguments);
        bodies::param_headers(&any, &arguments);
    }

    #[test]
    fn a_path_leads_to_what_was_set(
        json in prop_oneof![object(json()), mcp_object(mcp())],
        path in vec(select(vec!["a", "_meta", "params", "x/y"]), 1..4),
    ) {
        bodies::path(&json, &path);
    }

    #[test]
    fn a_retry_holds_its_answers_and_all_else(
        params in prop_oneof![mcp_object(mcp()), object(json()), json()],
        responses in vec((any::<String>(), prop_oneof![json(), mcp()]), 0..4),
        state in proptest::option::of(any::<String>()),
    ) {
        bodies::retry(&params, &responses, state.as_deref());
    }

    #[test]
    fn questions_are_read_as_they_were_asked(
        asked in vec(
            (
                any::<String>(),
                select(vec!["elicitation/create", "sampling/createMessage", "roots/list"]),
                mcp_object(mcp()),
            ),
            0..4,
        ),
        state in any::<String>(),
    ) {
        bodies::questions(&asked, &state);
    }

    #[test]
    fn a_result_keeps_what_it_says(method in result_method(), result in prop_oneof![mcp_object(mcp()), object(json()), linked_result()]) {
        bodies::results(method, &result);
    }

    #[test]
    fn a_request_says_who_asks(params in prop_oneof![mcp_object(mcp()), object(json())]) {
        bodies::request_client(&params);
    }

    #[test]
    fn a_filter_is_read_as_it_was_written(filter in mcp_object(mcp()), uris in vec(any::<String>(), 0..4)) {
        bodies::filter(&format!(r#"{{"notifications":{filter}}}"#));
        let uris: Vec<String> = uris.into_iter().map(quote).collect();
        let uris = uris.join(",");
        bodies::filter(&format!(r#"{{"notifications":{{"promptsListChanged":true,"resourceSubscriptions":[{uris}],"x/y":{filter}}}}}"#));
    }

    #[test]
    fn uris_that_are_mapped_there_and_back_are_the_same(method in result_method(), result in linked_result()) {
        bodies::uris(method, &result);
    }

    #[test]
    fn a_translation_of_any_json_is_json(json in prop_oneof![mcp(), json(), message()]) {
        bodies::translations(&json);
    }
}
