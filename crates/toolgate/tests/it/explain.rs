//! Why a key may or may not: what admins are told, what others are, and how a key is named.

use serde_json::{Value, json};
use toolgate_store::Key;

use crate::support::people::hash;
use crate::support::{Caller, Config, FakeMcp, MASTER_KEY, People, config, script};

const PATH: &str = "/v1/mcp/access/explain";

async fn servers() -> (Config, FakeMcp) {
    let files = FakeMcp::start(script().tools(&["read", "write"])).await;
    let config = config()
        .server("files", files.entry().with("server_id: id-files").with("disallowed_tools: [write]"))
        .server("maps", files.entry().with("server_id: id-maps"));
    (config, files)
}

async fn asked(caller: &Caller, query: &str) -> Value {
    let reply = caller.get(&format!("{PATH}?{query}")).await;
    assert_eq!(reply.status, 200, "{query}: {reply:?}");
    reply.json()
}

#[tokio::test]
async fn an_admin_is_told_the_steps_the_first_denial_and_what_would_grant_it() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    people.team("crew", json!({ "mcp_servers": ["files"] })).await;
    let of_crew = Key { team_id: Some("crew".into()), ..Key::default() };
    let key = people.key_of("narrow", json!({ "mcp_servers": ["files", "maps"] }), of_crew).await;
    let gate = people.gateway(config).await;
    let admin = gate.admin();

    let told = asked(&admin, "key=narrow&server=files&tool=read").await;
    assert_eq!(
        (&told["allowed"], &told["server"], &told["first_denial"]),
        (&json!(true), &json!("id-files"), &Value::Null)
    );
    assert_eq!(told["key"], json!({ "token": hash(&key), "key_alias": "narrow" }));

    let told = asked(&admin, &format!("key={}&server=maps", hash(&key))).await;
    assert_eq!(told["allowed"], json!(false), "{told}");
    let first = usize::try_from(told["first_denial"].as_u64().unwrap()).unwrap();
    assert_eq!(told["steps"][first]["effect"], "denies", "{told}");
    assert_eq!(told["steps"][first]["level"], "team", "{told}");
    assert!(told["would_grant"][0].as_str().unwrap().contains("crew"), "{told}");

    // The entry of a server holds for everybody, whatever the key's rows say. Tools are named as they are listed, too.
    for tool in ["write", "files-write"] {
        let told = asked(&admin, &format!("key=narrow&server=files&tool={tool}")).await;
        assert_eq!((&told["allowed"], &told["tool"]), (&json!(false), &json!("write")), "{told}");
        assert!(told["would_grant"][0].as_str().unwrap().contains("the entry of `files`"), "{told}");
    }
    let told = asked(&admin, "key=narrow").await;
    assert_eq!(told["reach"]["servers"], 1, "{told}");
    assert!(!told.to_string().contains(&key), "the key itself is never told");
}

#[tokio::test]
async fn what_is_explained_is_what_is_done() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let key = people.key("narrow", json!({ "mcp_tool_permissions": { "maps": ["read"] } })).await;
    let gate = people.gateway(config).await;
    let listed = gate.holder(&key).tool_names().await;
    for (server, tool) in [("files", "read"), ("files", "write"), ("maps", "read"), ("maps", "write")] {
        let told = asked(&gate.admin(), &format!("key=narrow&server={server}&tool={tool}")).await;
        assert_eq!(told["allowed"], json!(listed.contains(&format!("{server}-{tool}"))), "{told}");
    }
    assert_eq!(listed, ["maps-read"]);
}

#[tokio::test]
async fn the_key_itself_is_taken_in_a_body_and_never_in_a_url() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let key = people.key("narrow", json!({ "mcp_servers": ["files"] })).await;
    let gate = people.gateway(config).await;

    let reply = gate.admin().get(&format!("{PATH}?key={key}&server=files")).await;
    assert_eq!(reply.status, 422, "{reply:?}");
    assert!(!reply.text().contains(&key), "{reply:?}");
    let reply = gate.admin().get(&format!("{PATH}?key={MASTER_KEY}&server=files")).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let body = json!({ "key": key, "server": "files" }).to_string();
    let reply = gate.admin().post(PATH, body).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["allowed"]), (200, &json!(true)), "{reply:?}");
    let unknown = json!({ "key": format!("{key}x"), "server": "files" }).to_string();
    let reply = gate.admin().post(PATH, unknown).await;
    assert_eq!(reply.status, 404, "{reply:?}");
    assert!(!reply.text().contains(&key), "{reply:?}");
}

#[tokio::test]
async fn others_ask_about_their_own_key_and_learn_nothing_of_what_is_not_theirs() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let own = people.key("own", json!({ "mcp_servers": ["files"] })).await;
    let other = people.key("other", json!({ "mcp_servers": ["maps"] })).await;
    let viewer = people.key_of_role("proxy_admin_viewer").await;
    let gate = people.gateway(config).await;
    let holder = gate.holder(&own);

    for query in
        ["server=files&tool=read".to_owned(), "key=own&server=files".into(), format!("key={}&server=files", hash(&own))]
    {
        assert_eq!(asked(&holder, &query).await["allowed"], json!(true), "{query}");
    }
    let refused = holder.get(&format!("{PATH}?key=nobody&server=files")).await;
    for key in ["other".to_owned(), hash(&other)] {
        let reply = holder.get(&format!("{PATH}?key={key}&server=files")).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["message"].clone()),
            (refused.status, refused.json()["error"]["message"].clone())
        );
    }
    assert_eq!(refused.status, 403);
    let (real, unreal) = (asked(&holder, "server=maps").await, asked(&holder, "server=nope").await);
    assert_eq!(real.to_string().replace("maps", "nope"), unreal.to_string(), "what is not theirs does not exist");
    assert_eq!(holder.get(PATH).await.status, 422, "how much there is, is for admins");
    let elsewhere = holder.get(&format!("{PATH}?server=files&client_ip=10.0.0.1")).await;
    assert_eq!(elsewhere.status, 403, "what there is inside, is for admins");
    assert_eq!(asked(&gate.holder(&viewer), "key=other&server=maps").await["allowed"], json!(true));
    assert_eq!(gate.admin().get(&format!("{PATH}?key=nobody&server=files")).await.status, 404);
    assert_eq!(gate.anonymous().get(&format!("{PATH}?server=files")).await.status, 401);
    assert_eq!(gate.admin().get(&format!("{PATH}?sever=files")).await.status, 422);
}

#[tokio::test]
async fn an_address_and_a_toolset_can_be_asked_about() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let entry = files.entry().with("server_id: id-files").with("available_on_public_internet: false");
    let people = People::new().await;
    people.toolset("ts-1", "reading", &["id-files/read"]).await;
    people.key("narrow", json!({ "mcp_servers": ["files"] })).await;
    let gate = people.gateway(config().server("files", entry)).await;

    let told = asked(&gate.admin(), "key=narrow&server=files&client_ip=8.8.8.8").await;
    assert_eq!(told["allowed"], json!(false), "{told}");
    let told = asked(&gate.admin(), "key=narrow&server=files&client_ip=10.1.1.1").await;
    assert_eq!(told["allowed"], json!(true), "{told}");
    let told = asked(&gate.admin(), "key=narrow&server=files&toolset=reading").await;
    assert_eq!(told["allowed"], json!(false), "it does not hold the toolset: {told}");
    assert_eq!(gate.admin().get(&format!("{PATH}?server=files&toolset=none")).await.status, 404);
    assert_eq!(gate.admin().get(&format!("{PATH}?server=files&client_ip=home")).await.status, 422);
}

#[tokio::test]
async fn an_empty_list_says_why_to_admins_and_to_nobody_else() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    let nothing = people.key("nothing", Value::Null).await;
    let admin = people.key_of_role("proxy_admin").await;
    let gate = people.gateway(config).await;
    let why = async |caller: Caller| {
        let answer = caller.with("x-mcp-servers", "").rpc("tools/list", json!({})).await;
        answer.result()["_meta"]["toolgate/why_empty"].clone()
    };
    // Nothing is asked for by an empty header, so the list is empty for everybody.
    assert!(why(gate.holder(&admin)).await["steps"].is_array());
    assert_eq!(why(gate.holder(&nothing)).await, Value::Null);
    assert_eq!(gate.holder(&nothing).tool_names().await, [""; 0]);
}

#[tokio::test]
async fn the_command_line_shows_the_steps_to_people_and_programs() {
    let (config, _fake) = servers().await;
    let people = People::new().await;
    people.key("narrow", json!({ "mcp_servers": ["maps"] })).await;
    let gate = people.gateway(config).await;
    let url = gate.url("/mcp");
    let run = async |words: &[&str]| {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_toolgate"));
        let command = command.args(["explain", "--url", &url, "--key", MASTER_KEY]).args(words).env_clear();
        command.output().await.unwrap()
    };
    let shown = run(&["--of", "narrow", "maps"]).await;
    assert_eq!(shown.status.code(), Some(0), "{shown:?}");
    assert!(String::from_utf8_lossy(&shown.stdout).starts_with("allowed\n"), "{shown:?}");
    let shown = run(&["--of", "narrow", "files", "read"]).await;
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert_eq!(shown.status.code(), Some(6), "{shown:?}");
    assert!(text.starts_with("denied\n") && text.contains("\n> ") && text.contains("\nto grant it: "), "{text}");
    let shown = run(&["--json", "--of", "narrow", "files"]).await;
    assert_eq!(serde_json::from_slice::<Value>(&shown.stdout).unwrap()["allowed"], json!(false), "{shown:?}");
    let shown = run(&["--of", "nobody", "files"]).await;
    assert_eq!(shown.status.code(), Some(7), "{shown:?}");
}
