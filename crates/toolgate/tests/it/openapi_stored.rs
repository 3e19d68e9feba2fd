//! REST APIs as servers of the database: tried, made, called, watched; and where they may not lead.

use serde_json::{Value, json};
use toolgate_store::Server;

use crate::support::people::actor;
use crate::support::{Caller, Entry, People, RestService, config};

fn description(servers: &Value) -> String {
    json!({
        "openapi": "3.1.0",
        "info": { "title": "Pets", "version": "1" },
        "servers": servers,
        "paths": { "/echo/pets/{petId}": { "get": {
            "operationId": "getPetById",
            "parameters": [{ "name": "petId", "in": "path", "required": true, "schema": { "type": "integer" } }],
        } } },
    })
    .to_string()
}

async fn tried(admin: &Caller, what: &str, body: &Value) -> Value {
    let reply = admin.post(&format!("/mcp-rest/test/{what}"), body.to_string()).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    reply.json()
}

#[tokio::test]
async fn an_api_is_tried_made_called_and_watched() {
    let api = RestService::start().await;
    api.describe(&description(&json!([])));
    let gate = People::new().await.gateway(config()).await;
    let admin = gate.admin();
    let body = json!({
        "server_id": "id-pets", "server_name": "pets", "url": api.url, "spec_path": format!("{}/describe", api.url),
        "auth_type": "bearer_token", "credentials": { "auth_value": "upstream-secret-1" },
        "allowed_tools": ["getPetById"],
    });
    let told = tried(&admin, "connection", &body).await;
    assert_eq!(told, json!({ "status": "ok", "error": false, "message": "Successfully connected" }));
    let seen = api.seen().into_iter().find(|one| one["method"] == "HEAD").unwrap();
    assert_eq!(seen["headers"].get("authorization"), None, "a sign of life takes no credential");
    let told = tried(&admin, "tools/list", &body).await;
    assert_eq!((&told["tools"][0]["name"], &told["error"]), (&json!("getpetbyid"), &Value::Null), "{told}");

    let reply = admin.post("/v1/mcp/server", body.to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    assert_eq!(admin.tool_names().await, ["pets-getpetbyid"]);
    let answer = admin.call("pets-getPetById", json!({ "petId": 7 })).await;
    let sent = &answer.result()["structuredContent"];
    assert_eq!(
        (&sent["path"], &sent["headers"]["authorization"]),
        (&json!("/echo/pets/7"), &json!("Bearer upstream-secret-1"))
    );
    let health = admin.get("/v1/mcp/server/health").await.json();
    assert_eq!(health, json!([{ "server_id": "id-pets", "status": "healthy" }]));
    let row = admin.get("/v1/mcp/server/id-pets").await.json();
    assert_eq!((&row["spec_path"], &row["status"]), (&body["spec_path"], &json!("healthy")));
}

#[tokio::test]
async fn what_is_wrong_with_an_api_is_told_when_it_is_tried_and_when_its_health_is_asked() {
    let api = RestService::start().await;
    let gate = People::new().await.gateway(config()).await;
    let admin = gate.admin();
    let body = |url: &str| json!({ "server_id": "id-pets", "server_name": "pets", "url": url, "spec_path": format!("{}/describe", api.url) });
    let why = async |body: &Value| {
        let told = tried(&admin, "connection", body).await;
        assert_eq!(told["status"], "error", "{told}");
        told["message"].as_str().unwrap().to_owned()
    };
    api.describe("<!doctype html><title>Login</title>");
    let told = why(&body(&api.url)).await;
    assert!(told.contains("HTML page") && told.contains("/describe"), "{told}");
    let told = tried(&admin, "tools/list", &body(&api.url)).await;
    assert!(told["message"].as_str().unwrap().contains("HTML page"), "{told}");

    api.describe(&description(&json!([{ "url": "https://{region}.example.com" }])));
    let told = why(&json!({ "server_name": "pets", "spec_path": format!("{}/describe", api.url) })).await;
    assert!(told.contains("variable without a value"), "{told}");
    // A port that nobody listens on.
    let told = why(&body("http://127.0.0.1:9/")).await;
    assert!(told.contains("cannot be reached") || told.contains("failed"), "{told}");
    let told = why(&body(&format!("{}/unavailable", api.url))).await;
    assert!(told.contains("HTTP 503"), "{told}");

    let reply = admin.post("/v1/mcp/server", body("http://127.0.0.1:9/").to_string()).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let health = admin.get("/v1/mcp/server/health").await.json();
    assert_eq!(health, json!([{ "server_id": "id-pets", "status": "unhealthy" }]));
}

#[tokio::test]
async fn a_server_of_the_database_leads_nowhere_that_machines_find_credentials() {
    let api = RestService::start().await;
    api.describe(&description(&json!([])));
    let people = People::new().await;
    let gate = people.gateway(config()).await;
    let admin = gate.admin();
    let spec = format!("{}/describe", api.url);
    let cases = [
        (json!({ "spec_path": "http://169.254.169.254/openapi.json" }), "spec_path"),
        (json!({ "spec_path": "http://[::ffff:169.254.169.254]/" }), "spec_path"),
        (json!({ "spec_path": spec, "url": "http://169.254.169.254/latest" }), "url"),
        (json!({ "spec_path": spec, "url": "http://metadata.google.internal/" }), "url"),
        (json!({ "spec_path": spec, "url": "http://[fe80::1]/" }), "url"),
        (json!({ "url": "http://0xa9fea9fe/mcp" }), "url"),
    ];
    for (more, param) in cases {
        let mut body = json!({ "server_name": "pets" });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        for path in ["/v1/mcp/server", "/mcp-rest/test/connection", "/mcp-rest/test/tools/list"] {
            let reply = admin.post(path, body.to_string()).await;
            assert_eq!(
                (reply.status.as_u16(), &reply.json()["error"]["param"]),
                (422, &json!(param)),
                "{more} {reply:?}"
            );
            assert!(reply.text().contains("not a public address"), "{reply:?}");
        }
    }
    // A row that was there before is left out with its reason.
    let row = Server {
        server_id: "id-old".to_owned(),
        server_name: Some("old".to_owned()),
        url: Some("http://169.254.169.254/".to_owned()),
        spec_path: Some(spec),
        transport: "http".to_owned(),
        ..Server::default()
    };
    people.store.create_server(&actor(), row).await.unwrap();
    gate.until(async || admin.get("/v1/mcp/server").await.text().contains("not a public address")).await;
    assert_eq!(api.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn a_document_sends_nobody_inside() {
    let (api, inside) = (RestService::start().await, RestService::start().await);
    let spec = format!("{}/describe", api.url);
    let localhost = inside.url.replace("127.0.0.1", "localhost");
    for server in ["http://169.254.169.254/", &inside.url, &localhost] {
        api.describe(&description(&json!([{ "url": server }])));
        let people = People::new().await;
        let of_file = Entry::detected("").with(&format!("spec_path: {spec}"));
        let gate = people.gateway(config().server("filed", of_file)).await;
        let admin = gate.admin();
        let reply =
            admin.post("/v1/mcp/server", json!({ "server_name": "stored", "spec_path": spec }).to_string()).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        for tool in ["filed-getpetbyid", "stored-getpetbyid"] {
            let answer = admin.call(tool, json!({ "petId": 1 })).await;
            let result = answer.result();
            assert_eq!(result["isError"], true, "{server} {tool} {result}");
            let text = result["content"][0]["text"].as_str().unwrap();
            assert!(text.contains("an internal address"), "{server} {tool} {text}");
        }
    }
    assert_eq!(inside.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn an_api_that_a_user_proposed_is_asked_in_the_internet_alone() {
    let api = RestService::start().await;
    api.describe(&description(&json!([])));
    let people = People::new().await;
    let row = Server {
        server_id: "id-pets".to_owned(),
        server_name: Some("pets".to_owned()),
        spec_path: Some(format!("{}/describe", api.url)),
        url: Some(api.url.clone()),
        transport: "http".to_owned(),
        submitted_by: Some("alice".to_owned()),
        approval_status: Some("active".into()),
        ..Server::default()
    };
    people.store.create_server(&actor(), row).await.unwrap();
    let gate = people.gateway(config()).await;
    let why = gate.admin().call("pets-getpetbyid", json!({ "petId": 1 })).await;
    assert!(why.error_message().contains("an internal address"), "{}", why.error_message());
    assert_eq!(api.seen(), Vec::<Value>::new());
}

#[tokio::test]
async fn documents_elsewhere_are_read_where_the_configuration_says_so() {
    let (api, schemas) = (RestService::start().await, RestService::start().await);
    schemas.describe(r#"{"Pet":{"type":"object","properties":{"name":{"type":"string"}}}}"#);
    let reference = format!("{}/describe#/Pet", schemas.url);
    let text = json!({ "openapi": "3.1.0", "paths": { "/echo": { "post": { "operationId": "add", "requestBody": {
        "content": { "application/json": { "schema": { "$ref": reference } } } } } } } });
    api.describe(&text.to_string());
    let entry = Entry::detected(&api.url).with(&format!("spec_path: {}/describe", api.url));
    let tools = async |entry: Entry| {
        let gate = People::new().await.gateway(config().server("api", entry)).await;
        gate.admin().rpc("tools/list", json!({})).await.result()["tools"].clone()
    };
    assert_eq!(tools(entry.clone()).await, json!([]));
    // Any in the internet is not any.
    assert_eq!(tools(entry.clone().with("spec_ref_origins: ['*']")).await, json!([]));
    assert_eq!(schemas.seen(), Vec::<Value>::new());
    let listed = tools(entry.with(&format!("spec_ref_origins: ['{}']", schemas.url))).await;
    assert_eq!(listed[0]["inputSchema"]["properties"]["body"]["properties"]["name"]["type"], "string", "{listed}");
}
