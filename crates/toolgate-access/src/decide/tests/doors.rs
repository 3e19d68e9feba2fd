//! Rules 8 and 9, admins, callers without a key, toolset endpoints.

use std::collections::BTreeSet;

use crate::grant::{Place, compile};
use crate::permission::NO_MCP_SERVERS;
use crate::principal::{Link, Principal};
use crate::role::Role;
use crate::rules::{ClientPlace, Rules};
use crate::testing::{internal, key, reached, servers_json as s, session, team, token, wide_world, world};

const EVERYTHING: &str = "chat github inside jira mine open through wiki";

fn external() -> Place {
    Place::from(ClientPlace::External)
}

fn check(place: &Place, rules: &Rules, cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    for (case, principal, expected) in cases {
        assert_eq!(reached(&wide_world(), &principal, rules, place), expected, "{case}");
    }
}

#[test]
fn rule_8_what_is_open_to_all_keys_is_added_after_all_ceilings() {
    check(
        &internal(),
        &Rules::default(),
        [
            ("a key without anything", key(""), "open"),
            ("a key with something", key(&s("github")), "github open"),
            ("beyond its team", key(&s("github")).team(&s("wiki")), "open"),
            (
                "beyond customer, user and organization",
                key("").customer(&s("wiki")).user(&s("wiki")).org(&s("wiki")),
                "mine open",
            ),
            ("not to one that opted out", key(&s(NO_MCP_SERVERS)), ""),
            ("to a token", token(""), "mine open"),
            ("not without a key", Principal::anonymous(), "through"),
        ],
    );
}

#[test]
fn rule_8_a_user_reaches_what_they_proposed_unless_the_key_says_which_servers() {
    check(
        &internal(),
        &Rules::default(),
        [
            ("their key", key("").user(""), "mine open"),
            ("another's key", key(""), "open"),
            ("a key with a list", key(&s("github")).user(""), "github open"),
            ("a key with an empty list", key(r#"{"mcp_servers": []}"#).user(""), "open"),
            ("a key with tags only", key(r#"{"mcp_access_groups": ["docs"]}"#).user(""), "mine open wiki"),
            ("what is not approved is reached by nobody", key(&s("pending")).user(""), "open"),
        ],
    );
}

#[test]
fn rule_8_with_mcp_allow_all_keys_respects_mcp_scope_only_keys_without_a_scope_reach_it() {
    let rules = Rules { mcp_allow_all_keys_respects_mcp_scope: true, ..Rules::default() };
    check(
        &internal(),
        &rules,
        [
            ("no scope anywhere", key("").team("").org(""), "open"),
            ("the key's", key(&s("github")), "github"),
            ("the key's, empty", key(r#"{"mcp_servers": []}"#), ""),
            ("the key's, with it", key(&s("open")), "open"),
            ("the team's", key("").team(&s("github")), "github"),
            ("an access group's", key("").groups(&["ag-wiki"]), "wiki"),
            ("the customer's", key("").customer(&s("github")), ""),
            ("the user's", key("").user(&s("github")), "mine"),
            ("the organization's", key("").org(&s("github")), "github"),
            ("tokens are no keys", token(&s("github")), "github mine open"),
        ],
    );
}

#[test]
fn admins_reach_every_server_in_use_unless_their_key_has_a_team_or_a_list() {
    let admin = |json: &str| key(json).role_is(Role::ProxyAdmin);
    check(
        &internal(),
        &Rules::default(),
        [
            ("the master key", Principal::master(), EVERYTHING),
            ("an admin's key", admin(""), EVERYTHING),
            ("a viewer's key", key("").role_is(Role::ProxyAdminViewer), EVERYTHING),
            ("an admin's token", token("").role_is(Role::ProxyAdmin), EVERYTHING),
            ("an admin's session", session("", vec![]).role_is(Role::ProxyAdmin), EVERYTHING),
            ("no list, but tags", admin(r#"{"mcp_access_groups": ["docs"]}"#), EVERYTHING),
            ("a list binds", admin(&s("github")), "github open"),
            ("an empty list binds", admin(r#"{"mcp_servers": []}"#), "open"),
            ("opting out binds", admin(&s(NO_MCP_SERVERS)), ""),
            ("a team binds", admin("").team(&s("github")), "github mine open"),
            ("the dashboard's team does not", admin("").team_is(team("litellm-dashboard", "")), EVERYTHING),
            ("a permission of the person binds", key("").user(&s("github")).role_is(Role::ProxyAdmin), "mine open"),
            ("and their session", session(&s("github"), vec![]).role_is(Role::ProxyAdmin), "github mine open"),
            ("an organization does not", admin("").org(&s("github")), EVERYTHING),
            ("an agent does", admin("").agent(&s("github"), &[]), "github mine open"),
            ("a customer does", Principal::master().customer(&s("github")), "github open"),
            ("a project does", admin("").project(&s("github")), "github mine open"),
            ("another role is no admin's", key("").role_is(Role::OrgAdmin), "mine open"),
            ("nor is an internal user's", key("").role_is(Role::InternalUser), "mine open"),
        ],
    );
}

#[test]
fn only_an_admin_whom_nothing_narrows_has_everything() {
    let everything =
        |principal: &Principal, place: &Place| compile(&world(), principal, &Rules::default(), place).everything();
    let all = key(&s("github wiki jira chat"));

    assert!(everything(&Principal::master(), &internal()));
    assert!(everything(&Principal::master(), &external()), "no server of this world is internal");
    assert!(!everything(&all, &internal()), "a server to come is not a key's");
    assert!(!everything(&Principal::master().customer(r#"{"blocked_tools": ["x"]}"#), &internal()));
    let of_all = s("github wiki jira chat");
    assert!(!everything(&Principal::master().customer(&of_all), &internal()), "a server to come is not the customer's");
    assert!(!everything(&session("", vec![]).role_is(Role::ProxyAdmin).customer(&of_all), &internal()));
    assert!(everything(&session("", vec![]).role_is(Role::ProxyAdmin), &internal()));
    let hidden = compile(&wide_world(), &Principal::master(), &Rules::default(), &external());
    assert!(!hidden.everything());
    assert!(hidden.server(&"inside".into()).is_none());

    let master = compile(&world(), &Principal::master(), &Rules::default(), &internal());
    assert!(master.server(&"made later".into()).is_some_and(|tools| tools.allows("any")));
    let same = compile(&world(), &all, &Rules::default(), &internal());
    assert_eq!(master.fingerprint(), same.fingerprint());
    assert!(same.server(&"made later".into()).is_none());
}

#[test]
fn rule_9_what_is_internal_is_not_there_for_clients_outside() {
    let ours = || key(&s("github inside"));
    let public = Rules { public_mcp_servers: BTreeSet::from(["inside".into()]), ..Rules::default() };
    check(&internal(), &Rules::default(), [("inside", ours(), "github inside open")]);
    check(
        &external(),
        &Rules::default(),
        [
            ("outside", ours(), "github open"),
            ("the master key outside", Principal::master(), "chat github jira mine open through wiki"),
            ("a session outside", session(&s("github inside"), vec![]), "github mine open"),
            ("without a key", Principal::anonymous(), "through"),
        ],
    );
    check(&external(), &public, [("published servers are seen from everywhere", ours(), "github inside open")]);
}

#[test]
fn a_toolsets_endpoint_has_its_servers_for_those_who_hold_it() {
    let at = |id: &str| internal().at_toolset(id.into());
    let held = r#"{"mcp_toolsets": ["t1"]}"#;
    let held_and_more = r#"{"mcp_toolsets": ["t1"], "mcp_servers": ["wiki", "open"]}"#;
    check(
        &at("t1"),
        &Rules::default(),
        [
            ("the key holds it", key(held), "github jira"),
            ("beside other servers", key(held_and_more), "github jira"),
            ("nobody holds it", key(""), ""),
            ("its servers alone are not it", key(&s("github jira")), ""),
            ("the team holds it", key("").team(held), "github jira"),
            ("the team holds it, the key has other things", key(&s("github")).team(held), ""),
            ("the team narrows it", key(held).team(&s("github wiki")), "github"),
            ("the organization narrows it", key(held).org(&s("jira")), "jira"),
            ("the customer narrows it", key(held).customer(&s("jira")), "jira"),
            ("groups add nothing", key(held).groups(&["ag-wiki"]), "github jira"),
            ("opting out", key(r#"{"mcp_toolsets": ["t1"], "mcp_servers": ["no-mcp-servers"]}"#), ""),
            ("the master key", Principal::master(), "github jira"),
            ("an admin", key("").role_is(Role::ProxyAdmin), "github jira"),
            ("an admin whose key has a list", key(&s("github")).role_is(Role::ProxyAdmin), ""),
            ("an admin in a team", key("").role_is(Role::ProxyAdmin).team(&s("github")), ""),
            ("a person", session(held, vec![]), "github jira"),
            ("a person's team", session(&s("wiki"), vec![team("dev", held)]), "github jira"),
            ("a person without it", session(&s("github"), vec![team("dev", &s("github"))]), ""),
            ("without a key", Principal::anonymous(), ""),
        ],
    );
    check(
        &at("gone"),
        &Rules::default(),
        [("there is none", key(r#"{"mcp_toolsets": ["gone"]}"#), ""), ("for nobody", Principal::master(), "")],
    );
    let require = Rules { require_key_mcp_access_defined: true, ..Rules::default() };
    check(&at("t1"), &require, [("not taken over", key("").team(held), ""), ("its own", key(held), "github jira")]);
    let outside = Place { client: ClientPlace::External, ..at("t1") };
    check(&outside, &Rules::default(), [("from outside", key(held), "github jira")]);
}

#[test]
fn an_endpoint_of_a_toolset_has_only_the_toolsets_tools() {
    let at = internal().at_toolset("t1".into());
    let tools = |principal: &Principal| {
        let grant = compile(&world(), principal, &Rules::default(), &at);
        ["list_issues", "get_issue", "merge"]
            .into_iter()
            .filter(|tool| grant.server(&"g1".into()).is_some_and(|tools| tools.allows(tool)))
            .collect::<Vec<_>>()
    };
    let own = |more: &str| key(&format!(r#"{{"mcp_toolsets": ["t1"]{more}}}"#));

    assert_eq!(tools(&Principal::master()), ["list_issues", "get_issue"]);
    assert_eq!(tools(&own("")), ["list_issues", "get_issue"]);
    assert_eq!(tools(&own(r#", "mcp_tool_permissions": {"g1": ["merge"]}"#)), ["list_issues", "get_issue"]);
    assert_eq!(tools(&own(r#", "blocked_tools": ["get_issue"]"#)), ["list_issues"]);
    assert_eq!(tools(&own("").team(r#"{"mcp_tool_permissions": {"g1": ["get_issue"]}}"#)), ["get_issue"]);
    assert_eq!(tools(&session(r#"{"mcp_toolsets": ["t1"]}"#, vec![])), ["list_issues", "get_issue"]);
}

#[test]
fn no_key_is_in_another_keys_team() {
    let mut other = key("");
    other.team = Link::None;
    check(&internal(), &Rules::default(), [("alone", other, "open")]);
}
