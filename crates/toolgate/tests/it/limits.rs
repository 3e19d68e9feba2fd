//! Limits and budgets: who has used theirs up is refused, told why and when to come again, on every face.

use futures_util::future::join_all;
use serde_json::{Value, json};
use toolgate_store::{Budget, Customer, Key, Organization, Team, TeamMembership, User};

use crate::support::people::actor;
use crate::support::{Caller, FakeMcp, MODERN, Modern, People, Scripted, TestGateway, config, script, soon};

const COSTS: &str = "mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.1, tool_name_to_cost_per_query: {free: 0, dear: 0.5}}}";

fn reaches() -> Value {
    json!({"mcp_servers": ["files", "clock"]})
}

/// `files`, whose calls cost something, and `clock`, whose calls do not.
async fn servers() -> [FakeMcp; 2] {
    let tools = script().tools(&["read", "free", "dear", "fail"]);
    [FakeMcp::start(tools).await, FakeMcp::start(script().tools(&["now"])).await]
}

async fn gate(people: &People, [files, clock]: &[FakeMcp; 2]) -> TestGateway {
    let config = config().server("files", files.entry().with("alias: f").with(COSTS)).server("clock", clock.entry());
    people.gateway(config).await
}

/// Calls until a call is refused; how many were let through, and the refusal. A minute may end meanwhile.
async fn until_refused(caller: &Caller, tool: &str, limit: usize) -> Value {
    for through in 0..=limit * 2 {
        let answer = caller.call(tool, json!({})).await;
        if answer.message().get("error").is_some() {
            assert!(through >= limit, "{through} of {limit} calls were let through: {:?}", answer.error());
            assert_eq!(answer.http.status, 200, "clients of these revisions end their session at any other status");
            return answer.error().clone();
        }
    }
    panic!("more than {limit} calls a minute were let through");
}

fn key() -> Key {
    Key::default()
}

#[tokio::test]
async fn each_limit_of_requests_is_refused_in_the_name_of_whose_it_is() {
    let (people, servers) = (People::new().await, servers().await);
    let store = &people.store;
    let team = Team { team_id: "dev".into(), team_alias: Some("Developers".into()), ..Team::default() };
    let limits = json!({"mcp_rpm_limit": {"f": 2}});
    let team = Team { metadata: limits.as_object().unwrap().clone(), ..team };
    store.create_team(&actor(), team, vec![]).await.unwrap();
    let user = User { user_id: "uma".into(), rpm_limit: Some(3), ..User::default() };
    store.create_user(&actor(), user, vec![]).await.unwrap();
    let budget = Budget { budget_id: "b".into(), rpm_limit: Some(1), ..Budget::default() };
    store.create_budget(&actor(), budget).await.unwrap();
    let organization =
        Organization { organization_id: "acme".into(), organization_alias: "Acme".into(), ..Organization::default() };
    let organization = Organization { budget_id: Some("b".into()), ..organization };
    store.create_organization(&actor(), organization, None).await.unwrap();
    let own = people.key_of("own", reaches(), Key { rpm_limit: Some(2), ..key() }).await;
    let of_team = people.key_of("of-team", reaches(), Key { team_id: Some("dev".into()), ..key() }).await;
    let of_user = people.key_of("of-user", reaches(), Key { user_id: Some("uma".into()), ..key() }).await;
    let of_acme = people.key_of("of-acme", reaches(), Key { organization_id: Some("acme".into()), ..key() }).await;
    let free = people.key_of("free", reaches(), key()).await;
    let gate = gate(&people, &servers).await;

    let cases = [
        (&own, "clock-now", 2, "key: own", "key", "requests"),
        (&of_team, "f-free", 2, "server f of team: Developers", "team", "mcp_requests"),
        (&of_user, "clock-now", 3, "user: uma", "user", "requests"),
        (&of_acme, "clock-now", 1, "organization: Acme", "organization", "requests"),
    ];
    for (key, tool, limit, whose, of, what) in cases {
        let refused = until_refused(&gate.holder(key), tool, limit).await;
        assert_eq!(refused["code"], -32013, "{refused}");
        let text = refused["message"].as_str().unwrap();
        assert!(text.starts_with(&format!("Rate limit exceeded for {whose}. Limit type: requests. ")), "{text}");
        assert!(text.contains(&format!("Current limit: {limit}, Remaining: 0. Limit resets at: ")), "{text}");
        assert_eq!((&refused["data"]["of"], &refused["data"]["limit"]), (&json!(of), &json!(what)));
        assert_eq!(refused["data"]["code"], "rate_limit_exceeded");
        let after = refused["data"]["retry_after_ms"].as_u64().unwrap();
        assert!((1_000..=60_000).contains(&after), "{after}");
    }
    for _ in 0..9 {
        gate.holder(&of_team).call("clock-now", json!({})).await.result();
        gate.holder(&free).call("f-free", json!({})).await.result();
    }
    assert!(gate.holder(&own).tool_names().await.len() == 5, "listing is not limited");
    let metrics = gate.admin().get("/metrics").await;
    let metrics = metrics.text();
    assert!(metrics.contains(r#"toolgate_limit_refusals_total{limit="mcp_requests",of="team"} 1"#), "{metrics}");
    gate.stop().await;
}

#[tokio::test]
async fn tool_calls_use_no_tokens_so_a_token_limit_refuses_them_only_where_it_is_zero() {
    let (people, servers) = (People::new().await, servers().await);
    let gate = gate(&people, &servers).await;
    let did = async |path: &str, body: Value| {
        let reply = gate.admin().post(path, body.to_string()).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        reply.json()
    };
    let told = async |path: &str| gate.admin().get(path).await.json();
    for limit in [0, 1] {
        let named = |what: &str| format!("{what}-{limit}");
        let (team, user, organization) = (named("team"), named("user"), named("organization"));
        let body = json!({"team_id": team, "team_alias": team, "tpm_limit": limit, "object_permission": reaches()});
        did("/team/new", body).await;
        did("/user/new", json!({"user_id": user, "tpm_limit": limit, "auto_create_key": false})).await;
        let body = json!({"organization_id": organization, "organization_alias": organization, "tpm_limit": limit});
        did("/organization/new", body).await;
        let own = named("key");
        let cases = [
            ("key", &own, json!({"key_alias": own, "tpm_limit": limit})),
            ("team", &team, json!({"team_id": team})),
            ("user", &user, json!({"user_id": user})),
            ("organization", &organization, json!({"organization_id": organization})),
        ];
        for (of, name, mut body) in cases {
            body["object_permission"] = reaches();
            let made = did("/key/generate", body).await;
            let caller = gate.holder(made["key"].as_str().unwrap());
            if limit > 0 {
                for _ in 0..3 {
                    caller.call("clock-now", json!({})).await.result();
                }
                continue;
            }
            let refused = until_refused(&caller, "clock-now", 0).await;
            let text =
                format!("Rate limit exceeded for {of}: {name}. Limit type: tokens. Current limit: 0, Remaining: 0.");
            assert!(refused["message"].as_str().unwrap().starts_with(&text), "{refused}");
            assert_eq!(
                (&refused["data"]["of"], &refused["data"]["limit"]),
                (&json!(of), &json!("tokens")),
                "{refused}"
            );
            assert_eq!(caller.tool_names().await.len(), 5, "listing is not limited");
        }
        // It is kept and told, as LiteLLM's clients expect.
        let key = told(&format!("/key/list?key_alias={own}&return_full_object=true")).await;
        assert_eq!(key["keys"][0]["tpm_limit"], limit, "{key}");
        assert_eq!(told(&format!("/team/info?team_id={team}")).await["team_info"]["tpm_limit"], limit);
        assert_eq!(told(&format!("/user/info?user_id={user}")).await["user_info"]["tpm_limit"], limit);
        let told = told(&format!("/organization/info?organization_id={organization}")).await;
        assert_eq!(told["litellm_budget_table"]["tpm_limit"], limit, "{told}");
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_refusal_says_when_to_come_again_on_every_face() {
    let (people, servers) = (People::new().await, servers().await);
    let key = people.key_of("none", reaches(), Key { rpm_limit: Some(0), ..key() }).await;
    let gate = gate(&people, &servers).await;
    let caller = gate.holder(&key);
    let seconds = |value: &str| (1..=60).contains(&value.parse::<u32>().unwrap());

    let legacy = caller.call("f-read", json!({})).await;
    assert_eq!((legacy.http.status.as_u16(), legacy.error_code()), (200, -32013));
    assert!(seconds(legacy.http.header("retry-after")));

    let modern = Modern::new(&caller).call("f-read", json!({})).await;
    assert_eq!((modern.http.status.as_u16(), modern.error_code()), (429, -32013), "{MODERN}");
    assert!(seconds(modern.http.header("retry-after")));

    let body = json!({"server_id": "files", "name": "read", "arguments": {}}).to_string();
    let rest = caller.post("/mcp-rest/tools/call", body).await;
    assert_eq!(rest.status, 429);
    assert!(seconds(rest.header("retry-after")));
    assert_eq!(rest.json()["detail"]["error"], "rate_limit_exceeded");

    let one = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": "f-read"}});
    let batch = json!([one, {"jsonrpc": "2.0", "id": 2, "method": "ping"}]).to_string();
    let session = caller.clone().with("mcp-protocol-version", "2025-03-26");
    let answers: Value = session.post("/mcp", batch).await.json();
    assert_eq!(answers[0]["error"]["code"], -32013, "{answers}");
    assert_eq!(answers[1]["result"], json!({}), "{answers}");

    let mut stream = caller.open_stream("/sse").await;
    let endpoint = soon("the endpoint", stream.next()).await.unwrap().data;
    assert_eq!(caller.post(&endpoint, one.to_string()).await.status, 202);
    let answer = soon("the answer", stream.next()).await.unwrap().data;
    assert!(answer.contains("Rate limit exceeded for key: none"), "{answer}");

    assert_eq!(servers[0].count_of("tools/call"), 0, "nothing of it reached the server");
    gate.stop().await;
}

#[tokio::test]
async fn a_hundred_calls_at_once_spend_what_there_is_and_not_a_cent_more() {
    let (people, servers) = (People::new().await, servers().await);
    let team = Team { team_id: "dev".into(), max_budget: Some(1.0), ..Team::default() };
    people.store.create_team(&actor(), team, vec![]).await.unwrap();
    let keys = join_all((0..4).map(async |number| {
        let key = Key { team_id: Some("dev".into()), ..key() };
        people.key_of(&format!("k{number}"), reaches(), key).await
    }));
    let keys = keys.await;
    let gate = gate(&people, &servers).await;
    let callers: Vec<Caller> = keys.iter().map(|key| gate.holder(key)).collect();
    let answers = join_all((0..100).map(|number| callers[number % 4].call("f-read", json!({})))).await;
    let (through, refused): (Vec<_>, Vec<_>) =
        answers.iter().partition(|answer| answer.message().get("result").is_some());
    assert_eq!((through.len(), refused.len()), (10, 90));
    for refused in refused {
        assert!(refused.error_message().starts_with("Budget has been exceeded! Current cost: "), "{refused:?}");
        assert!(refused.error_message().contains("Max budget: 1.0 (team: dev)"), "{refused:?}");
        assert_eq!(refused.error()["data"]["code"], "budget_exceeded");
    }
    assert_eq!(callers[0].call("f-free", json!({})).await.error_code(), -32013, "free calls are refused too");
    let spent = async || people.store.team("dev").await.unwrap().unwrap().spend;
    gate.until(async || (spent().await - 1.0).abs() < 1e-9).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_budget_that_has_too_little_left_says_what_the_call_costs() {
    let (people, servers) = (People::new().await, servers().await);
    let key = people.key_of("k", reaches(), Key { max_budget: Some(0.75), ..key() }).await;
    let gate = gate(&people, &servers).await;
    let caller = gate.holder(&key);
    caller.call("f-dear", json!({})).await.result();
    let refused = caller.call("f-dear", json!({})).await;
    // LiteLLM's words first: there are programs that look for them.
    let text =
        "Budget has been exceeded! Current cost: 0.5, Max budget: 0.75 (key: k). This call costs 0.5. It has no period";
    assert!(refused.error_message().starts_with(text), "{refused:?}");
    for _ in 0..2 {
        caller.call("f-read", json!({})).await.result();
    }
    caller.call("f-free", json!({})).await.result();
    let nothing = people.key_of("nothing", reaches(), Key { max_budget: Some(0.0), ..Key::default() }).await;
    let refused = gate.holder(&nothing).call("f-free", json!({})).await;
    let text = "Budget has been exceeded! Current cost: 0.0, Max budget: 0.0 (key: nothing). This call is free, and ";
    assert!(refused.error_message().starts_with(text), "{refused:?}");
    let body = json!({"server_id": "files", "name": "dear", "arguments": {}}).to_string();
    let rest = caller.post("/mcp-rest/tools/call", body).await;
    assert_eq!(rest.status, 429);
    assert!(rest.text().contains("This call costs 0.5. "), "{rest:?}");
    gate.stop().await;
}

#[tokio::test]
async fn what_a_call_costs_is_charged_once_to_each_who_pays_and_only_if_it_succeeds() {
    let people = People::new().await;
    let failing = json!({"isError": true, "content": [{"type": "text", "text": "no"}]}).to_string();
    let answers = vec![
        Scripted::text("done"),
        Scripted::Result(failing),
        Scripted::Error(-32000, "no"),
        Scripted::Broken,
        Scripted::text("done"),
    ];
    let tools = script().tools(&["read", "dear"]).on("tools/call", Scripted::InTurn(answers));
    let servers = [FakeMcp::start(tools).await, FakeMcp::start(script().tools(&["now"])).await];
    let store = &people.store;
    let member = TeamMembership { user_id: "uma".into(), ..TeamMembership::default() };
    store
        .create_organization(&actor(), Organization { organization_id: "acme".into(), ..Default::default() }, None)
        .await
        .unwrap();
    let team = Team { team_id: "dev".into(), organization_id: Some("acme".into()), ..Team::default() };
    store.create_team(&actor(), team, vec![member]).await.unwrap();
    store.create_user(&actor(), User { user_id: "uma".into(), ..User::default() }, vec![]).await.unwrap();
    store.create_customer(&actor(), Customer { user_id: "carl".into(), ..Customer::default() }, None).await.unwrap();
    let key = Key { team_id: Some("dev".into()), user_id: Some("uma".into()), ..key() };
    let key = people.key_of("k", reaches(), key).await;
    let gate = gate(&people, &servers).await;
    let caller = gate.holder(&key).with("x-litellm-end-user-id", "carl");
    for tool in ["f-read", "f-read", "f-read", "f-read", "f-dear"] {
        caller.call(tool, json!({})).await;
    }
    let hash = crate::support::people::hash(&key).parse().unwrap();
    let spent = async || {
        [
            store.key(&hash).await.unwrap().unwrap().spend,
            store.user("uma").await.unwrap().unwrap().spend,
            store.team("dev").await.unwrap().unwrap().spend,
            store.team_members("dev").await.unwrap()[0].spend,
            store.organization("acme").await.unwrap().unwrap().spend,
            store.customer("carl").await.unwrap().unwrap().spend,
        ]
    };
    gate.until(async || spent().await.iter().all(|spent| (spent - 0.6).abs() < 1e-9)).await;
    gate.stop().await;
}

#[tokio::test]
async fn as_many_calls_run_as_may_and_one_that_is_given_up_makes_room() {
    let people = People::new().await;
    let held = script().tools(&["wait"]).on("tools/call", Scripted::Held(r#"{"content":[]}"#.to_owned()));
    let servers = [FakeMcp::start(held).await, FakeMcp::start(script().tools(&["now"])).await];
    let key = people.key_of("one", reaches(), Key { max_parallel_requests: Some(1), ..key() }).await;
    let gate = gate(&people, &servers).await;
    let caller = gate.holder(&key);
    let waiting = tokio::spawn({
        let caller = caller.clone();
        async move { caller.call("f-wait", json!({})).await.result().clone() }
    });
    gate.until(async || servers[0].count_of("tools/call") == 1).await;
    let refused = caller.call("clock-now", json!({})).await;
    let text = "Rate limit exceeded for key: one. Limit type: max_parallel_requests. Current limit: 1, Remaining: 0.";
    assert!(refused.error_message().starts_with(text), "{refused:?}");
    assert_eq!(refused.http.header("retry-after"), "1");
    servers[0].release();
    waiting.await.unwrap();
    caller.call("clock-now", json!({})).await.result();

    // A client of 2026-07-28 gives a call up by hanging up.
    let modern = Modern::new(&caller);
    let (asking, body) = modern.request(json!(1), "tools/call", json!({"name": "f-wait", "arguments": {}}));
    let hanging = tokio::spawn(async move { asking.post("/mcp", body.to_string()).await });
    gate.until(async || servers[0].count_of("tools/call") == 2).await;
    hanging.abort();
    gate.until(async || caller.call("clock-now", json!({})).await.message().get("result").is_some()).await;
    gate.stop().await;
}

#[tokio::test]
async fn a_servers_own_rpm_bounds_everybody_and_its_lists_stay() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", files.entry().with("rpm: 3"))).await;
    assert_eq!(gate.admin().tool_names().await, ["files-read"]);
    let refused = until_refused(&gate.admin(), "files-read", 2).await;
    assert_eq!((&refused["code"], &refused["data"]["code"]), (&json!(-32013), &json!("rate_limited")), "{refused}");
    assert!(refused["message"].as_str().unwrap().contains("takes 3 requests a minute"), "{refused}");
    assert!(refused["data"]["retry_after_ms"].as_u64().is_some(), "{refused}");
    assert_eq!(gate.admin().tool_names().await, ["files-read"], "the list is known");
    gate.stop().await;
}

#[tokio::test]
async fn a_server_whose_rpm_is_used_up_is_left_out_of_lists_and_said_so() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let clock = FakeMcp::start(script().tools(&["now"])).await;
    let config = config().server("files", files.entry().with("rpm: 1")).server("clock", clock.entry());
    let gate = TestGateway::start(config).await;
    gate.admin().rpc("prompts/list", json!({})).await;
    let list = gate.admin().rpc("tools/list", json!({})).await;
    let outcome = &list.result()["_meta"]["litellm.ai/server_outcomes"]["files"];
    // Unless a minute ended between the two.
    if outcome["status"] != "ok" {
        assert_eq!(outcome["status"], "rate_limited", "{outcome}");
        assert_eq!(gate.admin().tool_names().await, ["clock-now"]);
        let rest = gate.admin().get("/mcp-rest/tools/list?server_id=files").await;
        assert_eq!(rest.status, 429);
    }
    gate.stop().await;
}

#[tokio::test]
async fn a_budget_that_an_admin_raises_and_a_spend_that_they_forgive_hold_at_once() {
    let (people, servers) = (People::new().await, servers().await);
    let gate = gate(&people, &servers).await;
    let body = json!({"key_alias": "k", "max_budget": 0.5, "object_permission": reaches()}).to_string();
    let made = gate.admin().post("/key/generate", body).await.json();
    let (key, hash) = (made["key"].as_str().unwrap(), made["token"].as_str().unwrap());
    let caller = gate.holder(key);
    caller.call("f-dear", json!({})).await.result();
    caller.call("f-dear", json!({})).await.error();
    let update = async |body: Value| {
        let reply = gate.admin().post("/key/update", body.to_string()).await;
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    update(json!({"key": hash, "max_budget": 1.0})).await;
    gate.until(async || caller.call("f-dear", json!({})).await.message().get("result").is_some()).await;
    caller.call("f-dear", json!({})).await.error();
    let spent = async || gate.admin().get(&format!("/key/info?key={hash}")).await.json()["info"]["spend"].as_f64();
    gate.until(async || spent().await == Some(1.0)).await;
    update(json!({"key": hash, "spend": 0.0})).await;
    gate.until(async || caller.call("f-dear", json!({})).await.message().get("result").is_some()).await;
    gate.stop().await;
}

#[tokio::test]
async fn more_may_be_spent_for_a_time_and_what_is_no_time_is_refused() {
    let (people, servers) = (People::new().await, servers().await);
    let gate = gate(&people, &servers).await;
    let generate = async |until: &str| {
        let more = json!({"max_budget": 0.5, "temp_budget_increase": 0.5, "temp_budget_expiry": until});
        let mut body = json!({"object_permission": reaches()});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        gate.admin().post("/key/generate", body.to_string()).await
    };
    for (until, calls) in [("2999-01-01", 2), ("2020-01-01T00:00:00Z", 1)] {
        let made = generate(until).await.json();
        let caller = gate.holder(made["key"].as_str().unwrap());
        for _ in 0..calls {
            caller.call("f-dear", json!({})).await.result();
        }
        assert_eq!(caller.call("f-dear", json!({})).await.error()["data"]["code"], "budget_exceeded");
    }
    let refused = generate("soon").await;
    assert_eq!((refused.status.as_u16(), &refused.json()["error"]["param"]), (422, &json!("temp_budget_expiry")));
    gate.stop().await;
}
