//! Golden files for the translation between eras: one input file per matter, its snapshot beside it.
//!
//! A case is an object; a field of it is an argument of the function under test, taken as the JSON text that it is in
//! the file, so that the snapshots show every byte. What comes out is written as text too.

use serde_json::value::RawValue;
use toolgate_mcp::edit::{self, Fields};
use toolgate_mcp::jsonrpc::{Id, string};
use toolgate_mcp::translate::questions::{Answers, InputRequired};
use toolgate_mcp::translate::subscriptions::{self, Filter, Offer};
use toolgate_mcp::translate::{
    capabilities, discover, errors, questions, request, results, tasks, tokens, url_elicitation,
};
use toolgate_mcp::uris;
use toolgate_mcp::version::Revision;
use toolgate_mcp::views::{META_CLIENT_INFO, ViewError};

/// The arguments of one case.
struct Case<'a>(Fields<'a>);

impl<'a> Case<'a> {
    /// The JSON text of an argument.
    fn json(&self, name: &str) -> &'a str {
        self.given(name).unwrap_or_else(|| panic!("the case has no `{name}`"))
    }

    /// The JSON text of an argument that may be left out.
    fn given(&self, name: &str) -> Option<&'a str> {
        self.0.get(name).map(RawValue::get)
    }

    fn raw(&self, name: &str) -> Option<&'a RawValue> {
        self.0.get(name)
    }

    /// An argument that is a string.
    fn text(&self, name: &str) -> String {
        self.0.get(name).and_then(string).unwrap_or_else(|| panic!("the case has no text `{name}`")).into_owned()
    }

    fn list(&self, name: &str) -> Vec<&'a str> {
        let items: Vec<&RawValue> = serde_json::from_str(self.json(name)).expect("an array");
        items.into_iter().map(RawValue::get).collect()
    }

    fn id(&self) -> Id {
        Id::read(self.raw("id").expect("an id")).expect("an id")
    }
}

/// Runs `translate` on every case of `inputs` and compares all outcomes with the snapshot called `matter`.
fn golden(matter: &str, inputs: &str, translate: impl Fn(&Case<'_>) -> Result<String, ViewError>) {
    let cases: Vec<&RawValue> = serde_json::from_str(inputs).expect("an array of cases");
    let mut report = String::new();
    for raw in cases {
        let case = Case(Fields::read(raw.get()).expect("a case is an object"));
        report.push_str(&format!("## {}\n", case.text("case")));
        for (name, value) in case.0.iter().filter(|(name, _)| *name != "case") {
            report.push_str(&format!("{name}: {}\n", value.get()));
        }
        let outcome = translate(&case).unwrap_or_else(|error| format!("error: {error}"));
        report.push_str(&format!("=> {outcome}\n\n"));
    }
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("translation/snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(matter, report.trim_end()));
}

#[test]
fn a_modern_servers_questions_are_read() {
    golden("questions-read", include_str!("translation/questions-read.json"), |case| {
        let Some(asked) = InputRequired::read(case.json("result"))? else { return Ok("no questions".to_owned()) };
        let mut lines: Vec<String> = Vec::new();
        for question in &asked.questions {
            let params = question.params.map_or("none", RawValue::get);
            lines.push(format!("{} asks {} with {params}", question.key, question.method));
        }
        lines.push(format!("state {}", asked.request_state.unwrap_or("none")));
        Ok(lines.join("\n   "))
    });
}

#[test]
fn a_legacy_clients_answers_go_back_in_a_retry() {
    golden("questions-retry", include_str!("translation/questions-retry.json"), |case| {
        let responses = Fields::read(case.json("responses"))?;
        let responses = responses.iter().map(|(key, value)| (key, value.get()));
        questions::retry(case.json("params"), responses, case.given("state"))
    });
}

#[test]
fn a_legacy_servers_questions_become_a_result() {
    golden("questions-ask", include_str!("translation/questions-ask.json"), |case| {
        let mut asked = Vec::new();
        for (at, question) in case.list("questions").into_iter().enumerate() {
            let fields = Fields::read(question)?;
            let method = fields.get("method").and_then(string).expect("a method").into_owned();
            let params = fields.get("params").map(|raw| questions::to_modern(raw.get())).transpose()?;
            asked.push((format!("q{}", at + 1), method, params));
        }
        let asked = asked.iter().map(|(key, method, params)| (key.as_str(), method.as_str(), params.as_deref()));
        let result = questions::input_required(asked, Some(&case.text("state")));
        assert!(InputRequired::read(&result)?.is_some(), "what is asked can be read");
        Ok(result)
    });
}

#[test]
fn a_modern_clients_answers_are_read_and_taken_off() {
    golden("questions-answers", include_str!("translation/questions-answers.json"), |case| {
        let answers = Answers::read(case.raw("params"))?;
        let mut lines: Vec<String> =
            answers.responses.iter().map(|(key, answer)| format!("{key} is {}", answer.get())).collect();
        lines.push(format!("state {}", answers.request_state.as_deref().unwrap_or("none")));
        Ok(lines.join("\n   "))
    });
}

#[test]
fn a_modern_servers_url_gets_an_id_for_clients_that_want_one() {
    golden("url-to-legacy", include_str!("translation/url-to-legacy.json"), |case| {
        url_elicitation::to_legacy(case.json("params"), &case.text("id"))
    });
}

#[test]
fn a_legacy_servers_url_error_becomes_a_question() {
    golden("url-required", include_str!("translation/url-required.json"), |case| {
        let asked = url_elicitation::from_url_required(case.json("error"), Some("sealed"))?;
        Ok(asked.unwrap_or_else(|| "no question".to_owned()))
    });
}

#[test]
fn results_say_what_modern_clients_expect() {
    golden("results-to-modern", include_str!("translation/results-to-modern.json"), |case| {
        let info = case.given("info");
        Ok(results::to_modern(&case.text("method"), case.json("result"), info)?.into_owned())
    });
}

#[test]
fn results_do_not_confuse_legacy_clients() {
    golden("results-to-legacy", include_str!("translation/results-to-legacy.json"), |case| {
        Ok(results::to_legacy(case.json("result"))?.into_owned())
    });
}

#[test]
fn errors_have_the_codes_of_the_clients_era() {
    golden("errors", include_str!("translation/errors.json"), |case| {
        let error = case.json("error");
        Ok(format!("modern {}\n   legacy {}", errors::to_modern(error)?, errors::to_legacy(error)?))
    });
}

#[test]
fn log_levels_are_asked_for_with_each_request() {
    golden("log-levels", include_str!("translation/log-levels.json"), |case| {
        let client = request::Client::read(case.raw("params"))?;
        Ok(client.log_level.map_or("nothing".to_owned(), |level| format!("{level} is asked for")))
    });
}

#[test]
fn tokens_and_ids_are_replaced_where_they_stand() {
    golden("tokens", include_str!("translation/tokens.json"), |case| {
        let new = case.json("new");
        Ok(match case.given("params") {
            Some(params) => tokens::with_progress_token(params, new)?,
            None => tokens::progress_with_token(case.json("progress"), new)?,
        }
        .into_owned())
    });
}

#[test]
fn filters_of_a_listen_are_read_and_acknowledged() {
    golden("listen-filters", include_str!("translation/listen-filters.json"), |case| {
        let filter = Filter::read(case.raw("params"))?;
        let offer = Offer { tools: true, resources: true, subscribe: true, ..Offer::default() };
        let accepted = filter.accepted(offer);
        let acknowledged = subscriptions::acknowledged(&case.id(), &accepted);
        let acknowledged = String::from_utf8(acknowledged).expect("JSON is UTF-8");
        assert_eq!(subscriptions::subscription_id(&acknowledged)?, Some(case.id()));
        assert_eq!(
            subscriptions::subscription_id(&format!("{{\"result\":{}}}", subscriptions::ended(&case.id())))?,
            Some(case.id())
        );
        Ok(format!("asks for {}\n   hears {acknowledged}", filter.to_json()))
    });
}

#[test]
fn filters_of_several_listens_become_one() {
    golden("listen-union", include_str!("translation/listen-union.json"), |case| {
        let mut union = Filter::default();
        for params in case.list("all") {
            union.add(&Filter::read(Some(serde_json::from_str(params)?))?);
        }
        Ok(union.to_json())
    });
}

#[test]
fn notifications_carry_the_id_of_their_listen() {
    golden("listen-notifications", include_str!("translation/listen-notifications.json"), |case| {
        let message = case.json("message");
        let with_id = subscriptions::with_subscription_id(message, &case.id())?;
        let without = subscriptions::without_subscription_id(message)?;
        Ok(format!("modern {with_id}\n   legacy {without}"))
    });
}

#[test]
fn capabilities_are_declared_to_the_other_era() {
    golden("capabilities", include_str!("translation/capabilities.json"), |case| match case.given("client") {
        Some(client) => Ok(capabilities::of_client(client)?.into_owned()),
        None => Ok(capabilities::of_server(case.json("server"))?.into_owned()),
    });
}

#[test]
fn what_a_server_says_of_itself_is_read_and_written() {
    golden("discover", include_str!("translation/discover.json"), |case| {
        let found = discover::Discovered::read(case.json("result"))?;
        let capabilities = found.capabilities.map_or("{}", RawValue::get);
        let info = found.server_info.map_or("none", RawValue::get);
        let modern = found.serves(Revision::V2026_07_28);
        let all = [Revision::V2026_07_28, Revision::V2025_11_25];
        let ours =
            discover::discovered(&all, capabilities, r#"{"name":"gate","version":"1"}"#, found.instructions.as_deref());
        Ok(format!("{info}, modern: {modern}\n   from the gate {ours}"))
    });
}

#[test]
fn who_asks_is_said_in_each_modern_request() {
    golden("request-client", include_str!("translation/request-client.json"), |case| {
        let level = case.raw("logLevel").and_then(string);
        let stated = request::with_client(
            case.given("params"),
            "2026-07-28",
            case.json("capabilities"),
            case.given("info"),
            level.as_deref(),
        )?;
        let raw: &RawValue = serde_json::from_str(&stated)?;
        let read = request::Client::read(Some(raw))?;
        assert_eq!(
            (read.protocol_version.as_ref(), read.capabilities.get()),
            ("2026-07-28", case.json("capabilities"))
        );
        let own = edit::get_at(case.given("params").unwrap_or("{}"), &["_meta", META_CLIENT_INFO])?;
        assert_eq!(read.client_info.map(RawValue::get), case.given("info").or(own.map(RawValue::get)));
        Ok(format!("{stated}\n   for a legacy server {}", request::without_client(&stated)?))
    });
}

#[test]
fn a_request_that_does_not_say_who_asks_is_refused() {
    golden("request-invalid", include_str!("translation/request-invalid.json"), |case| {
        request::Client::read(case.raw("params")).map(|client| format!("{client:?}"))
    });
}

#[test]
fn tools_that_only_run_as_tasks_are_recognized() {
    golden("tasks", include_str!("translation/tasks.json"), |case| {
        Ok(if tasks::is_required(case.json("tool")) { "run as a task" } else { "called" }.to_owned())
    });
}

#[test]
fn resources_are_known_by_one_uri_everywhere() {
    let map = |uri: &str| uri.starts_with("file:///").then(|| format!("other+{uri}"));
    golden("uris", include_str!("translation/uris.json"), |case| {
        let part = |name| case.given(name).map(|json| (name, json));
        let parts = ["result", "item", "error"];
        let (name, json) = parts.into_iter().find_map(part).expect("a part of a message");
        Ok(match name {
            "result" => uris::in_result(&case.text("method"), json, &map)?,
            "item" => uris::in_item(json, &map)?,
            _ => uris::in_error(json, &map)?,
        }
        .into_owned())
    });
}
