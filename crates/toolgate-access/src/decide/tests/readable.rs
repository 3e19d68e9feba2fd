//! Explanations as an admin reads them.

use crate::explain::{explain, reach};
use crate::grant::Place;
use crate::principal::{Link, Principal};
use crate::rules::{ClientPlace, Rules};
use crate::testing::{internal, key, servers_json as s, session, team, wide_world};

fn told(principal: &Principal, server: &str, tool: Option<&str>) -> String {
    explain(&wide_world(), principal, &Rules::default(), &internal(), server, tool).to_string()
}

#[test]
fn a_tool_that_is_allowed() {
    let of_team = r#"{"mcp_access_groups": ["dev"], "mcp_tool_permissions": {"gh": ["merge", "delete"]}}"#;
    let principal = key(&s("gh")).team(of_team).customer("").org(&s("github wiki"));

    insta::assert_snapshot!(told(&principal, "github", Some("merge")));
}

#[test]
fn a_tool_that_two_levels_deny() {
    let of_team = r#"{"mcp_tool_permissions": {"gh": ["list_issues"]}}"#;
    let principal = key(&s("gh")).team(of_team).org(r#"{"mcp_servers": ["github"], "blocked_tools": ["gh-merge"]}"#);

    insta::assert_snapshot!(told(&principal, "gh", Some("merge")));
}

#[test]
fn a_server_that_nobody_grants() {
    insta::assert_snapshot!(told(&key("").team(""), "github", None));
}

#[test]
fn a_server_that_the_team_has_and_a_key_with_a_typing_error_has_not() {
    insta::assert_snapshot!(told(&key(&s("githb")).team(&s("github")).customer(&s("wiki")), "github", Some("merge")));
}

#[test]
fn a_server_that_is_open_to_all_keys_and_not_in_the_list() {
    insta::assert_snapshot!(told(&key(&s("github")), "open", None));
}

#[test]
fn a_team_that_is_not_there() {
    let principal = Principal { team: Link::Missing("4c0ffee".into()), ..key(&s("github")) };

    insta::assert_snapshot!(told(&principal, "github", None));
}

#[test]
fn a_server_that_is_not_there() {
    insta::assert_snapshot!(told(&Principal::master(), "githb", None));
}

#[test]
fn a_server_seen_from_outside() {
    let place = Place::from(ClientPlace::External);

    insta::assert_snapshot!(explain(&wide_world(), &key(&s("inside")), &Rules::default(), &place, "inside", None));
}

#[test]
fn a_session_with_two_teams_one_of_them_blocked() {
    let mut blocked = team("ops", &s("github"));
    blocked.blocked = true;
    let principal = session("", vec![team("dev", &s("wiki")), blocked]);

    insta::assert_snapshot!(told(&principal, "github", None));
    insta::assert_snapshot!(told(&principal, "wiki", Some("read")));
}

#[test]
fn the_same_as_json() {
    let principal = key(&s("gh")).team(&s("wiki"));

    insta::assert_json_snapshot!(explain(
        &wide_world(),
        &principal,
        &Rules::default(),
        &internal(),
        "gh",
        Some("merge")
    ));
}

#[test]
fn how_much_is_left_after_each_rule() {
    let how_much = |principal: &Principal| {
        let reach = reach(&wide_world(), principal, &Rules::default(), &internal());
        let texts: Vec<_> = reach.steps.into_iter().map(|step| step.text).collect();
        (reach.servers, texts.join("; "))
    };
    let narrowed = key(&s("github wiki jira")).team(&s("github wiki")).customer(&s("chat"));

    assert_eq!(
        how_much(&narrowed),
        (
            1,
            "key `ci` adds 3 servers; team `dev` leaves 2 of 3 servers; \
             customer `bob` leaves 0 of 2 servers; the gateway adds 1 servers"
                .to_owned()
        )
    );
    let (none, why) = how_much(&key(&s("no-mcp-servers")));
    assert_eq!(none, 0);
    assert!(why.starts_with("key `ci` lists `no-mcp-servers`"), "{why}");
}
