//! REST APIs with an OpenAPI document as servers: every parameter style, credentials, answers, changes, bad documents.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use toolgate::config::settings::Transport;

use crate::support::{Caller, Entry, Modern, RestService, TestGateway, config, soon};

/// A document in a folder of its own.
struct Spec {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn spec(text: &str) -> Spec {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.yaml");
    std::fs::write(&path, text).unwrap();
    Spec { _folder: folder, path }
}

fn entry(spec: &Spec, url: &str) -> Entry {
    Entry::detected(url).with(&format!("spec_path: {}", json!(spec.path)))
}

/// What the API was sent by a call.
async fn echoed(caller: &Caller, tool: &str, arguments: Value) -> Value {
    let answer = caller.call(tool, arguments).await;
    let result = answer.result();
    assert_ne!(result["isError"], true, "{result}");
    result["structuredContent"].clone()
}

/// The text of a result that is an error.
async fn refused(caller: &Caller, tool: &str, arguments: Value) -> String {
    let answer = caller.call(tool, arguments).await;
    let result = answer.result();
    assert_eq!(result["isError"], true, "{result}");
    result["content"][0]["text"].as_str().unwrap().to_owned()
}

/// One parameter for each place, style and explode of the specification's table.
fn styles() -> String {
    let cases = [
        ("path", "simple"),
        ("path", "label"),
        ("path", "matrix"),
        ("query", "form"),
        ("query", "spaceDelimited"),
        ("query", "pipeDelimited"),
        ("query", "deepObject"),
        ("header", "simple"),
        ("cookie", "form"),
    ];
    let mut text = "openapi: 3.1.0\npaths:\n".to_owned();
    for (place, style) in cases {
        for explode in [false, true] {
            let name = format!("{place}_{style}_{explode}").to_lowercase();
            let path = if place == "path" { format!("/echo/{name}/{{color}}") } else { format!("/echo/{name}") };
            text.push_str(&format!(
                "  {path}:\n    get:\n      operationId: {name}\n      parameters: [{{name: color, in: {place}, required: true, style: {style}, explode: {explode}}}]\n"
            ));
        }
    }
    text
}

#[tokio::test]
async fn every_parameter_style_arrives_as_the_specification_has_it() {
    let api = RestService::start().await;
    let spec = spec(&styles());
    let gate = TestGateway::start(config().server("api", entry(&spec, &api.url))).await;
    let admin = gate.admin();
    let values = [json!(""), json!("blue"), json!(["blue", "black", "brown"]), json!({"R": 100, "G": 200, "B": 150})];
    // The specification's table, and `simple` and `form` where it has them once for several places. What it calls not
    // applicable is not asked; the empty strings that would leave the path are refused.
    let (none, refused_here) = ("n/a", "refused");
    let table = [
        ("path_matrix_false", ["path", ";color", ";color=blue", ";color=blue,black,brown", ";color=R,100,G,200,B,150"]),
        (
            "path_matrix_true",
            ["path", ";color", ";color=blue", ";color=blue;color=black;color=brown", ";R=100;G=200;B=150"],
        ),
        ("path_label_false", ["path", refused_here, ".blue", ".blue,black,brown", ".R,100,G,200,B,150"]),
        ("path_label_true", ["path", refused_here, ".blue", ".blue.black.brown", ".R=100.G=200.B=150"]),
        ("path_simple_false", ["path", refused_here, "blue", "blue,black,brown", "R,100,G,200,B,150"]),
        ("path_simple_true", ["path", refused_here, "blue", "blue,black,brown", "R=100,G=200,B=150"]),
        ("header_simple_false", ["color", "", "blue", "blue,black,brown", "R,100,G,200,B,150"]),
        ("header_simple_true", ["color", "", "blue", "blue,black,brown", "R=100,G=200,B=150"]),
        ("query_form_false", ["query", "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"]),
        (
            "query_form_true",
            ["query", "color=", "color=blue", "color=blue&color=black&color=brown", "R=100&G=200&B=150"],
        ),
        ("cookie_form_false", ["cookie", "color=", "color=blue", "color=blue,black,brown", "color=R,100,G,200,B,150"]),
        (
            "cookie_form_true",
            ["cookie", "color=", "color=blue", "color=blue; color=black; color=brown", "R=100; G=200; B=150"],
        ),
        (
            "query_spacedelimited_false",
            ["query", none, none, "color=blue%20black%20brown", "color=R%20100%20G%20200%20B%20150"],
        ),
        ("query_spacedelimited_true", ["query", none, none, "color=blue&color=black&color=brown", "R=100&G=200&B=150"]),
        (
            "query_pipedelimited_false",
            ["query", none, none, "color=blue%7Cblack%7Cbrown", "color=R%7C100%7CG%7C200%7CB%7C150"],
        ),
        ("query_pipedelimited_true", ["query", none, none, "color=blue&color=black&color=brown", "R=100&G=200&B=150"]),
        ("query_deepobject_false", ["query", none, none, none, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"]),
        ("query_deepobject_true", ["query", none, none, none, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"]),
    ];
    for (name, [place, row @ ..]) in table {
        for (value, expected) in values.iter().zip(row).filter(|(_, expected)| *expected != none) {
            let (tool, arguments) = (format!("api-{name}"), json!({"color": value}));
            if expected == refused_here {
                refused(&admin, &tool, arguments).await;
                continue;
            }
            let sent = echoed(&admin, &tool, arguments).await;
            let arrived = match place {
                "path" => sent["path"].as_str().unwrap().rsplit('/').next().unwrap().to_owned(),
                "query" => sent["query"].as_str().unwrap().to_owned(),
                header => sent["headers"][header].as_str().unwrap().to_owned(),
            };
            assert_eq!(arrived, expected, "{name} {value}");
        }
    }
}

const PETS: &str = r##"
openapi: 3.0.3
info: {title: Pets, version: "1", description: All about pets.}
paths:
  /echo/pets/{petId}:
    get: {operationId: getPetById, summary: One pet, tags: [pets], parameters: [{name: petId, in: path, required: true, schema: {type: integer}}, {name: verbose, in: query, schema: {type: boolean}}]}
    delete: {operationId: Delete Pet, parameters: [{name: petId, in: path, required: true, schema: {type: integer}}]}
  /echo/pets:
    post: {operationId: addPet, requestBody: {required: true, content: {application/json: {schema: {type: object, required: [name], properties: {name: {type: string}}}}}}}
  /broken: {get: {operationId: broken, parameters: [{$ref: "#/nothing"}]}}
"##;

#[tokio::test]
async fn tools_are_listed_and_called_under_every_spelling() {
    let api = RestService::start().await;
    let spec = spec(PETS);
    let gate = TestGateway::start(config().server("pets", entry(&spec, &api.url))).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["pets-getpetbyid", "pets-delete_pet", "pets-addpet"]);
    for tool in ["pets-getpetbyid", "pets-getPetById", "getpetbyid"] {
        let sent = echoed(&admin, tool, json!({"petId": 0, "verbose": false})).await;
        assert_eq!((&sent["path"], &sent["query"]), (&json!("/echo/pets/0"), &json!("verbose=false")), "{tool}");
    }
    let sent = echoed(&admin, "pets-Delete Pet", json!({"petId": 7})).await;
    assert_eq!(sent["method"], "DELETE");
    let sent = echoed(&admin, "pets-addpet", json!({"body": {"name": "Rex", "n": 1}})).await;
    assert_eq!(
        (&sent["body"], &sent["headers"]["content-type"]),
        (&json!(r#"{"name":"Rex","n":1}"#), &json!("application/json"))
    );

    let why = refused(&admin, "pets-getpetbyid", json!({"petId": "x", "extra": 1})).await;
    assert!(why.contains("`petId` must be an integer") && why.contains("`extra` is not known"), "{why}");
    let unknown = admin.call("pets-nothing", json!({})).await;
    assert_eq!(unknown.error_code(), -32602);
    assert_eq!(api.asked("/echo/pets/x"), 0);
}

#[tokio::test]
async fn rules_hold_for_every_spelling() {
    let api = RestService::start().await;
    let spec = spec(PETS);
    let rules =
        entry(&spec, &api.url).with("allowed_tools: [getPetById, addPet]").with("disallowed_tools: [pets-addpet]");
    let gate = TestGateway::start(config().server("pets", rules.with("allowed_params: {getpetbyid: [petId]}"))).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["pets-getpetbyid"]);
    for tool in ["pets-addpet", "pets-addPet", "pets-Delete Pet", "pets-delete_pet"] {
        assert_eq!(admin.call(tool, json!({"petId": 1, "body": {"name": "x"}})).await.error_code(), -32012, "{tool}");
    }
    let forbidden = admin.call("pets-getPetById", json!({"petId": 1, "verbose": true})).await;
    assert!(forbidden.error_code() < 0);
    echoed(&admin, "pets-getPetById", json!({"petId": 1})).await;
    assert_eq!(api.seen().len(), 1);
}

#[tokio::test]
async fn operations_are_chosen_and_changed_by_the_configuration() {
    let api = RestService::start().await;
    let spec = spec(PETS);
    let lines = [
        "allowed_methods: [get, post]",
        "allowed_paths: [/echo/**]",
        r#"openapi_overlay: {getPetById: {name: pet, description: Ours.}, "POST /echo/pets": {title: Add one}}"#,
    ];
    let chosen = lines.iter().fold(entry(&spec, &api.url), |entry, line| entry.with(line));
    let gate = TestGateway::start(config().server("pets", chosen)).await;
    let answer = gate.admin().rpc("tools/list", json!({})).await;
    let tools = answer.result()["tools"].as_array().unwrap().clone();
    let seen: Vec<(&str, &str)> =
        tools.iter().map(|tool| (tool["name"].as_str().unwrap(), tool["description"].as_str().unwrap())).collect();
    assert_eq!(seen, [("pets-pet", "Ours."), ("pets-addpet", "POST /echo/pets")]);
    assert_eq!(tools[1]["title"], "Add one");
    assert_eq!(echoed(&gate.admin(), "pets-pet", json!({"petId": 3})).await["path"], "/echo/pets/3");
}

/// The headers, query and cookies that a call with this configuration carries.
async fn carried(api: &RestService, security: &str, lines: &[&str], caller: impl FnOnce(Caller) -> Caller) -> Value {
    let text = format!("openapi: 3.1.0\n{security}\npaths: {{/echo/me: {{get: {{operationId: me}}}}}}\n");
    let spec = spec(&text);
    let entry = lines.iter().fold(entry(&spec, &api.url), |entry, line| entry.with(line));
    let gate = TestGateway::start(config().server("api", entry)).await;
    echoed(&caller(gate.admin()), "api-me", json!({})).await
}

#[tokio::test]
async fn credentials_go_where_the_description_wants_them() {
    let api = RestService::start().await;
    let scheme = |scheme: &str| format!("security: [{{s: []}}]\ncomponents: {{securitySchemes: {{s: {scheme}}}}}");
    let key = ["auth_type: api_key", "auth_value: s3cret"];
    let me = |caller| caller;

    let sent = carried(&api, "", &key, me).await;
    assert_eq!(sent["headers"]["authorization"], "ApiKey s3cret", "as LiteLLM sends it");
    assert_eq!(sent["headers"].get("x-api-key"), None);
    let sent = carried(&api, &scheme("{type: apiKey, in: header, name: X-Token}"), &key, me).await;
    assert_eq!((&sent["headers"]["x-token"], sent["headers"].get("authorization")), (&json!("s3cret"), None));
    let sent = carried(&api, &scheme("{type: apiKey, in: query, name: api_key}"), &key, me).await;
    assert_eq!((&sent["query"], sent["headers"].get("x-api-key")), (&json!("api_key=s3cret"), None));
    let sent = carried(&api, &scheme("{type: apiKey, in: cookie, name: sid}"), &key, me).await;
    assert_eq!(sent["headers"]["cookie"], "sid=s3cret");
    let bearer = ["auth_type: bearer_token", "auth_value: s3cret"];
    let sent = carried(&api, &scheme("{type: http, scheme: bearer}"), &bearer, me).await;
    assert_eq!(sent["headers"]["authorization"], "Bearer s3cret");
    let basic = ["auth_type: basic", "auth_value: user:pass"];
    let sent = carried(&api, &scheme("{type: http, scheme: basic}"), &basic, me).await;
    assert_eq!(sent["headers"]["authorization"], "Basic dXNlcjpwYXNz");
    let plain = ["auth_type: authorization", "auth_value: Custom s3cret"];
    assert_eq!(carried(&api, "", &plain, me).await["headers"]["authorization"], "Custom s3cret");
    let token = ["auth_type: token", "auth_value: s3cret"];
    assert_eq!(carried(&api, "", &token, me).await["headers"]["authorization"], "token s3cret");
}

#[tokio::test]
async fn headers_are_those_of_any_server_and_the_gateways_key_is_not_among_them() {
    let api = RestService::start().await;
    let lines = [
        "static_headers: {X-Fixed: ours}",
        "extra_headers: [X-Mine, X-Fixed]",
        "auth_type: bearer_token",
        "auth_value: common",
    ];
    let with = |caller: Caller| {
        caller
            .with("x-mine", "yes")
            .with("x-fixed", "theirs")
            .with("x-other", "no")
            .with("x-mcp-api-authorization", "Bearer own")
    };
    let sent = carried(&api, "", &lines, with).await;
    let headers = &sent["headers"];
    assert_eq!(
        (&headers["x-fixed"], &headers["x-mine"], &headers["authorization"]),
        (&json!("ours"), &json!("yes"), &json!("Bearer own"))
    );
    assert!(headers.get("x-other").is_none() && !sent.to_string().contains(crate::support::MASTER_KEY), "{sent}");
}

const ANSWERS: &str = r#"
openapi: 3.0.3
paths:
  /text: {get: {operationId: text}}
  /list: {get: {operationId: list}}
  /image: {get: {operationId: image}}
  /empty: {delete: {operationId: empty}}
  /busy: {get: {operationId: busy}}
  /broken: {get: {operationId: broken}}
  /large: {get: {operationId: large}}
  /here: {get: {operationId: here}, post: {operationId: postHere}}
  /away: {get: {operationId: away}}
  /never: {get: {operationId: never}}
"#;

#[tokio::test]
async fn answers_become_content_of_their_kind() {
    let api = RestService::start().await;
    let spec = spec(ANSWERS);
    let lines = entry(&spec, &api.url).with("auth_type: bearer_token").with("auth_value: s3cret").with("timeout: 1");
    let gate = TestGateway::start(config().server("api", lines)).await;
    let admin = gate.admin();
    let result = async |tool: &str| admin.call(tool, json!({})).await.result().clone();
    assert_eq!(result("api-text").await, json!({"content": [{"type": "text", "text": "grüß dich"}]}));
    // Clients of these revisions take only objects for structure.
    assert_eq!(result("api-list").await, json!({"content": [{"type": "text", "text": "[1, 2.50]"}]}));
    assert_eq!(
        result("api-image").await,
        json!({"content": [{"type": "image", "data": "iVBORw==", "mimeType": "image/png"}]})
    );
    assert_eq!(result("api-empty").await["content"][0]["text"], "HTTP 204 No Content; the answer is empty");
    let busy = refused(&admin, "api-busy", json!({})).await;
    assert_eq!(
        busy,
        "HTTP 429 Too Many Requests\nretry-after: 7\n\n{\"why\":\"too fast\"}".replace("retry-after", "Retry-After")
    );
    let broken = refused(&admin, "api-broken", json!({})).await;
    assert_eq!(broken, "HTTP 500 Internal Server Error\n\n<h1>oops</h1>");

    // Redirects are followed where the credential is known already, and only for what changes nothing.
    assert_eq!(result("api-here").await["structuredContent"]["path"], "/echo/there");
    let away = refused(&admin, "api-away", json!({})).await;
    assert_eq!(away, "HTTP 302 Found\nLocation: http://127.0.0.1:9/steal");
    let posted = refused(&admin, "api-posthere", json!({})).await;
    assert!(posted.starts_with("HTTP 302 Found"), "{posted}");

    let late = soon("the time running out", admin.call("api-never", json!({}))).await;
    assert_eq!(late.error_code(), -32001);
}

#[tokio::test]
async fn a_large_answer_is_cut_and_read_on_by_whoever_got_it() {
    let api = RestService::start().await;
    let spec = spec(ANSWERS);
    let lines = entry(&spec, &api.url).with("max_response_bytes: 1000").with("extra_headers: [X-User]");
    let gate = TestGateway::start(config().server("api", lines)).await;
    let alice = gate.admin().with("x-user", "alice");
    let answer = alice.call("api-large", json!({})).await;
    let content = &answer.result()["content"];
    assert_eq!(content[0]["text"].as_str().unwrap().len(), 1000);
    assert!(content[1]["text"].as_str().unwrap().contains("cut after 1000 of 5000 bytes"), "{content}");
    assert_eq!((&content[2]["type"], &content[2]["size"]), (&json!("resource_link"), &json!(5000)));
    let uri = content[2]["uri"].as_str().unwrap();
    let whole = alice.rpc("resources/read", json!({"uri": uri})).await;
    assert_eq!(whole.result()["contents"][0]["text"].as_str().unwrap(), "0123456789".repeat(500));
    // Another credential has other answers.
    let other = gate.admin().with("x-user", "bob").rpc("resources/read", json!({"uri": uri})).await;
    assert_eq!(other.error_code(), -32002);
}

#[tokio::test]
async fn a_changed_description_is_told_and_served() {
    let api = RestService::start().await;
    api.describe(PETS_JSON);
    let lines = Entry::detected(&api.url).with(&format!("spec_path: {}/describe", api.url));
    let gate = TestGateway::start_with(config().server("pets", lines), |settings| {
        let server = Arc::get_mut(&mut settings.servers[0]).unwrap();
        let Transport::OpenApi { settings, .. } = &mut server.transport else { panic!("an OpenAPI server") };
        settings.refresh = Duration::from_millis(50);
    })
    .await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["pets-one"]);
    let mut stream = admin.initialized_at("/mcp").await.open_stream("/mcp").await;
    api.describe(&PETS_JSON.replace("one", "two"));
    let told = soon("the news", stream.message()).await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(admin.tool_names().await, ["pets-two"]);

    // One that cannot be read changes nothing, and an unchanged one is not sent again.
    api.describe("<html>gone</html>");
    let asked = api.asked("/describe");
    api.until_asked("/describe", asked + 3).await;
    assert_eq!(admin.tool_names().await, ["pets-two"]);
    assert!(api.seen().iter().any(|one| one["headers"].get("if-none-match").is_some()));
}

#[tokio::test]
async fn a_reload_of_the_configuration_has_the_description_read_again() {
    let api = RestService::start().await;
    api.describe(PETS_JSON);
    let lines = Entry::detected(&api.url).with(&format!("spec_path: {}/describe", api.url));
    let config = config().server("pets", lines);
    let gate = TestGateway::start(config.clone()).await;
    let admin = gate.admin();
    assert_eq!(admin.tool_names().await, ["pets-one"]);
    let mut stream = admin.initialized_at("/mcp").await.open_stream("/mcp").await;
    api.describe(&PETS_JSON.replace("one", "two"));
    gate.reload(&config);
    let told = soon("the news", stream.message()).await;
    assert_eq!(told["method"], "notifications/tools/list_changed");
    assert_eq!(admin.tool_names().await, ["pets-two"]);
}

#[tokio::test]
async fn a_large_description_is_listed_in_pages() {
    let api = RestService::start().await;
    let paths: String = (0..1_200).map(|n| format!("  /echo/{n}: {{get: {{operationId: op{n}}}}}\n")).collect();
    let spec = spec(&format!("openapi: 3.1.0\npaths:\n{paths}"));
    let gate = TestGateway::start(config().server("api", entry(&spec, &api.url))).await;
    let admin = gate.admin();
    let (mut names, mut pages, mut params) = (Vec::new(), 0, json!({}));
    loop {
        let answer = admin.rpc("tools/list", params).await;
        let result = answer.result();
        names.extend(result["tools"].as_array().unwrap().iter().map(|tool| tool["name"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(cursor) = result["nextCursor"].as_str() else { break };
        params = json!({ "cursor": cursor });
    }
    assert_eq!((pages, names.len()), (2, 1_200));
    let sent = echoed(&admin, names.last().unwrap(), json!({})).await;
    assert_eq!(sent["path"], "/echo/1199");
}

#[tokio::test]
async fn what_is_put_into_a_path_stays_in_its_place() {
    let api = RestService::start().await;
    let spec = spec("openapi: 3.1.0\npaths: {'/echo/users/{id}/keys': {get: {operationId: keys}}}");
    let gate = TestGateway::start(config().server("api", entry(&spec, &format!("{}/v1", api.url)))).await;
    let admin = gate.admin();
    let encoded = [
        ("123?admin=true", "123%3Fadmin%3Dtrue"),
        ("user#section", "user%23section"),
        ("x&evil=1", "x%26evil%3D1"),
        ("a/b", "a%2Fb"),
        ("%2fadmin", "%252fadmin"),
        ("a\r\nHost: evil", "a%0D%0AHost%3A%20evil"),
        ("a\\b", "a%5Cb"),
        ("...", "..."),
    ];
    for (value, expected) in encoded {
        let sent = echoed(&admin, "api-keys", json!({"id": value})).await;
        assert_eq!(
            (sent["path"].as_str().unwrap(), &sent["query"]),
            (&*format!("/v1/echo/users/{expected}/keys"), &Value::Null)
        );
    }
    let asked = api.seen().len();
    for value in
        ["..", ".", "../admin", "..\\admin", "..;/admin", "%2e%2e%2fadmin", "%2e%2e", "%252e%252e/", "a/../../b", ""]
    {
        refused(&admin, "api-keys", json!({"id": value})).await;
    }
    assert_eq!(api.seen().len(), asked, "none of these was sent");
}

#[tokio::test]
async fn any_json_is_structure_for_clients_that_take_it() {
    let api = RestService::start().await;
    let spec = spec(ANSWERS);
    let gate = TestGateway::start(config().server("api", entry(&spec, &api.url))).await;
    let answer = Modern::new(&gate.admin()).call("api-list", json!({})).await;
    assert_eq!(answer.result()["structuredContent"], json!([1, 2.50]));
}

const PETS_JSON: &str = r#"{"openapi":"3.0.0","paths":{"/echo/one":{"get":{"operationId":"one"}}}}"#;

#[tokio::test]
async fn a_description_that_is_none_costs_only_its_own_server() {
    let api = RestService::start().await;
    api.describe("<!doctype html><html>404</html>");
    let good = spec(PETS);
    let missing = Entry::detected(&api.url).with("spec_path: /nowhere/api.yaml");
    let page = Entry::detected(&api.url).with(&format!("spec_path: {}/describe", api.url));
    let inside = spec(
        "openapi: 3.0.0\nservers: [{url: 'http://169.254.169.254/'}]\npaths: {/latest: {get: {operationId: latest}}}",
    );
    let nowhere = Entry::detected("").with(&format!("spec_path: {}", json!(inside.path)));
    let config = config().server("missing", missing).server("page", page).server("inside", nowhere);
    let gate = TestGateway::start(config.server("pets", entry(&good, &api.url))).await;
    let admin = gate.admin();
    let answer = admin.rpc("tools/list", json!({})).await;
    let outcomes = &answer.result()["_meta"]["litellm.ai/server_outcomes"];
    assert_eq!(outcomes["pets"]["tool_count"], 3, "{outcomes}");
    assert_eq!(
        (&outcomes["missing"]["status"], &outcomes["page"]["status"]),
        (&json!("upstream_error"), &json!("upstream_error"))
    );
    let why = admin.call("page-x", json!({})).await;
    assert!(why.error_message().contains("HTML page"), "{}", why.error_message());
    let why = refused(&admin, "inside-latest", json!({})).await;
    assert!(why.contains("an internal address"), "{why}");
    echoed(&admin, "pets-getpetbyid", json!({"petId": 1})).await;
}

#[tokio::test]
async fn references_stay_in_the_folder_of_the_description() {
    let api = RestService::start().await;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(folder.path().join("secret.yaml"), "{type: string}").unwrap();
    std::fs::write(inner.join("beside.yaml"), "{type: integer}").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path().join("secret.yaml"), inner.join("link.yaml")).unwrap();
    let operation = |name: &str, target: &str| {
        format!(
            "  /echo/{name}: {{get: {{operationId: {name}, parameters: [{{name: q, in: query, schema: {{$ref: '{target}'}}}}]}}}}\n"
        )
    };
    let text = format!(
        "openapi: 3.1.0\npaths:\n{}{}{}{}{}",
        operation("beside", "beside.yaml"),
        operation("above", "../secret.yaml"),
        operation("root", "/etc/hostname"),
        operation("link", "link.yaml"),
        operation("remote", "http://169.254.169.254/latest"),
    );
    std::fs::write(inner.join("api.yaml"), text).unwrap();
    let spec = format!("spec_path: {}", json!(inner.join("api.yaml")));
    let gate = TestGateway::start(config().server("api", Entry::detected(&api.url).with(&spec))).await;
    assert_eq!(gate.admin().tool_names().await, ["api-beside"]);
}
