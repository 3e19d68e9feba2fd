use super::*;

fn call_answer(id: &str, text: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":"{text}"}}]}}}}"#)
}

fn list_answer(names: &[&str], more: &str) -> String {
    let tools: Vec<_> = names.iter().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect();
    format!(r#"{{"jsonrpc":"2.0","id":7,"result":{{"tools":[{}]{more}}}}}"#, tools.join(","))
}

/// Holds an answer to request 7 against `expected`; `problem` is a part of the complaint, or empty when it is right.
#[track_caller]
fn check(expected: Expected, body: &str, problem: &str) {
    judge(&mut Checker::new(expected), body, 7, problem);
}

#[track_caller]
fn judge(checker: &mut Checker, body: &str, id: u64, problem: &str) {
    match checker.check(StatusCode::OK, false, body.as_bytes(), id) {
        Ok(()) => assert_eq!(problem, "", "accepted: {body}"),
        Err(got) => assert!(!problem.is_empty() && got.contains(problem), "{got}"),
    }
}

#[test]
fn a_text_is_right_only_with_all_its_bytes() {
    let expected = Expected::Text { bytes: 16 };
    check(expected, &call_answer("7", &text(16)), "");
    check(expected, &call_answer("7", &text(15)), "15 bytes of text where 16");
    check(expected, &call_answer("7", "0123456789abcdef"), "other contents");
    check(expected, &call_answer("8", &text(16)), "an answer to request 8 where 7");
    check(expected, &call_answer("\"7\"", &text(16)), "an answer to request \"7\"");
    check(expected, r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#, "not one text");
    check(expected, r#"{"jsonrpc":"2.0","id":7,"error":{"code":-32603,"message":"boom"}}"#, "boom");
    check(expected, r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true,"content":[]}}"#, "the tool failed");
    check(expected, "<html>", "not a JSON-RPC response");
}

#[test]
fn a_list_is_right_only_with_all_its_tools() {
    let expected = Expected::Tools { count: 2 };
    check(expected, &list_answer(&["a", "b"], ""), "");
    check(expected, &list_answer(&["a", "a"], ""), "2 tools with 1 names");
    check(expected, &list_answer(&["a"], ""), "1 tools with 1 names");
    check(expected, &list_answer(&["a", "b"], r#","nextCursor":"x""#), "a first page of 2 tools");
    check(expected, &call_answer("7", "x"), "not the expected result");
}

#[test]
fn a_status_other_than_200_is_wrong_whatever_the_body() {
    let body = call_answer("7", "x");
    let mut checker = Checker::new(Expected::AnyResult);
    let problem = checker.check(StatusCode::BAD_GATEWAY, false, body.as_bytes(), 7).unwrap_err();
    assert!(problem.starts_with("status 502"), "{problem}");
}

#[test]
fn the_known_answer_passes_with_a_new_id_and_nothing_else_does() {
    let mut checker = Checker::new(Expected::Text { bytes: 16 });
    judge(&mut checker, &call_answer("7", &text(16)), 7, "");
    assert!(checker.right.is_some());
    judge(&mut checker, &call_answer("12345", &text(16)), 12_345, "");
    judge(&mut checker, &call_answer("12345", &text(16)), 12_346, "an answer to request 12345");
    judge(&mut checker, &call_answer("8", &text(16).replace("quick", "slow!")), 8, "other contents");
    judge(&mut checker, &call_answer("9", &text(14)), 9, "14 bytes of text");
}

#[test]
fn an_answer_that_overlaps_with_itself_is_not_taken_for_known() {
    let known = Known { before_id: b"{1".to_vec(), after_id: b"1}".to_vec() };
    assert!(!known.fits(b"{1}", 1));
    assert!(known.fits(b"{151}", 5));
}

#[test]
fn in_an_event_stream_the_answer_may_come_after_notifications() {
    let answer = call_answer("7", &text(16));
    let notice = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{}}"#;
    let mut checker = Checker::new(Expected::Text { bytes: 16 });
    let stream = format!("id: 1\n\n: ping\n\nevent: message\ndata: {notice}\n\nevent: message\ndata: {answer}\n\n");
    assert_eq!(checker.check(StatusCode::OK, true, stream.as_bytes(), 7), Ok(()));
    let cut = format!("data: {notice}\n\n");
    let problem = checker.check(StatusCode::OK, true, cut.as_bytes(), 8).unwrap_err();
    assert!(problem.contains("without an answer"), "{problem}");
}
