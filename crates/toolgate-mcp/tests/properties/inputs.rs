//! What the properties are tried with: text and JSON that is often nearly what it should be.

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::select;

/// JSON text as a person or a program might write it: blanks, escapes, big numbers, repeated keys of all kinds.
pub fn json() -> impl Strategy<Value = String> {
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

pub fn object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
    let field = (key(), blank(), value).prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}{blank}"));
    (blank(), vec(field, 0..5), blank())
        .prop_map(|(before, fields, after)| format!("{before}{{{after}{}}}{after}", fields.join(&format!(",{before}"))))
}

pub fn key() -> impl Strategy<Value = String> {
    let known = ["jsonrpc", "id", "method", "params", "result", "error", "a", "b", "a\u{0}", ""];
    prop_oneof![
        select(known.map(quote).to_vec()),
        Just(r#""\u0061""#.to_owned()),
        any::<String>().prop_map(|text| quote(&text)),
    ]
}

pub fn envelope_key() -> impl Strategy<Value = &'static str> {
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

pub fn envelope_value() -> impl Strategy<Value = String> {
    let values = ["7", "\"7\"", "\"ping\"", "\"tools\\/call\"", "\"2.0\"", "null", "{}", "[]", "-1.5e3", "07"];
    select(values.to_vec()).prop_map(str::to_owned)
}

pub fn blank() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\n\t", "\r\n "])
}

pub fn quote(text: impl AsRef<str>) -> String {
    toolgate_mcp::jsonrpc::quote(text.as_ref())
}

/// Bytes that are often nearly an event stream.
pub fn stream() -> impl Strategy<Value = Vec<u8>> {
    let pieces =
        ["data", ":", " ", "id: 1", "event: e", "retry: 5", "\n", "\n\n", "\r", "\r\n", "x", "\u{feff}", "{}", "\0"];
    let piece = prop_oneof![
        8 => select(pieces.to_vec()).prop_map(|piece| piece.as_bytes().to_vec()),
        1 => vec(any::<u8>(), 0..4),
    ];
    vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

/// Text that is often nearly a template.
pub fn template() -> impl Strategy<Value = String> {
    let pieces =
        ["{", "}", "{a}", "{+a}", "{/a*}", "{?a,b}", "{&a*}", "{;a}", "{#a}", "{.a:3}", "a", "/", "=", "é", "&", "?"];
    vec(select(pieces.to_vec()), 0..12).prop_map(|pieces| pieces.concat())
}

pub fn uri() -> impl Strategy<Value = String> {
    vec(select(vec!["a", "b", "/", "?", "&", "=", ";", "#", ".", "é", "a=1"]), 0..30).prop_map(|pieces| pieces.concat())
}

/// JSON that is often nearly something of MCP.
pub fn mcp() -> impl Strategy<Value = String> {
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

pub fn mcp_object(value: impl Strategy<Value = String>) -> impl Strategy<Value = String> {
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
pub fn marked_call() -> impl Strategy<Value = (String, String)> {
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
pub fn linked_result() -> impl Strategy<Value = String> {
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
pub fn message() -> impl Strategy<Value = String> {
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

pub fn result_method() -> impl Strategy<Value = &'static str> {
    select(vec!["tools/call", "prompts/get", "resources/read", "tools/list", "completion/complete", "server/discover"])
}
