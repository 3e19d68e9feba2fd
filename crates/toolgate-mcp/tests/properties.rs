//! Properties that hold for any input; the fuzz targets under `fuzz/` run the same bodies.

#[path = "properties/bodies.rs"]
mod bodies;
#[path = "properties/inputs.rs"]
mod inputs;
#[path = "properties/oracle.rs"]
mod oracle;

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};
use proptest::sample::select;

use inputs::{
    blank, envelope_key, envelope_value, json, key, linked_result, marked_call, mcp, mcp_object, message, object,
    quote, result_method, stream, template, uri,
};

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
    fn a_result_that_passes_is_translated_as_a_whole_one(
        method in result_method(),
        result in prop_oneof![3 => mcp_object(mcp()), 1 => object(json())],
        steps in vec(1usize..9, 0..6),
    ) {
        bodies::translated(&result, method, &steps);
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
