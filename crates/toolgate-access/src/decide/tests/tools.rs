//! Tools of a server: each level that names some narrows them, and blocked ones are gone.

use crate::grant::compile;
use crate::principal::Principal;
use crate::role::Role;
use crate::rules::Rules;
use crate::testing::{internal, key, servers_json as s, team, token, wide_world};

const TOOLS: [&str; 6] = ["list_issues", "get_issue", "merge", "delete", "*", "github-merge"];

/// Which of the tools a principal may use on `github`. Not reached at all is `-`.
fn on_github(principal: &Principal) -> String {
    let grant = compile(&wide_world(), principal, &Rules::default(), &internal());
    let Some(filter) = grant.server(&"g1".into()) else { return "-".to_owned() };
    TOOLS.into_iter().filter(|tool| filter.allows(tool)).collect::<Vec<_>>().join(" ")
}

const ALL: &str = "list_issues get_issue merge delete * github-merge";

fn t(tools: &str) -> String {
    let tools: Vec<_> = tools.split_whitespace().collect();
    serde_json::json!({ "mcp_tool_permissions": { "github": tools } }).to_string()
}

fn check(cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    for (case, principal, expected) in cases {
        assert_eq!(on_github(&principal), expected, "{case}");
    }
}

#[test]
fn a_level_names_tools_directly_and_by_toolsets() {
    check([
        ("nobody names any", key(&s("github")), ALL),
        ("directly", key(&t("merge")), "merge"),
        ("none of them", key(&t("")), ""),
        ("by id", key(r#"{"mcp_tool_permissions": {"g1": ["merge"]}}"#), "merge"),
        ("by the other id", key(r#"{"mcp_tool_permissions": {"g2": ["merge"]}}"#), "merge"),
        ("by several names", key(r#"{"mcp_tool_permissions": {"gh": ["merge"], "g1": ["delete"]}}"#), "merge delete"),
        ("by toolset", key(r#"{"mcp_toolsets": ["t1"]}"#), "list_issues get_issue"),
        (
            "both",
            key(r#"{"mcp_toolsets": ["t1"], "mcp_tool_permissions": {"gh": ["merge"]}}"#),
            "list_issues get_issue merge",
        ),
        (
            "naming the server too widens nothing",
            key(r#"{"mcp_servers": ["github"], "mcp_toolsets": ["t1"]}"#),
            "list_issues get_issue",
        ),
        (
            "tools of other servers say nothing",
            key(r#"{"mcp_servers": ["github"], "mcp_tool_permissions": {"wiki": ["x"]}}"#),
            ALL,
        ),
        ("names are exact", key(&t("Merge github-get_issue merge ")), "merge"),
        ("all of them", key(&t("*")), ALL),
        (
            "all of them goes before others of the level",
            key(r#"{"mcp_toolsets": ["t1"], "mcp_tool_permissions": {"gh": ["*"]}}"#),
            ALL,
        ),
    ]);
}

#[test]
fn levels_that_name_tools_narrow_one_after_the_other() {
    check([
        ("key and team: what both name", key(&t("merge delete")).team(&t("merge get_issue")), "merge"),
        ("nothing in common", key(&t("merge")).team(&t("delete")), ""),
        ("only the team", key(&s("github")).team(&t("merge")), "merge"),
        ("only the key", key(&t("merge")).team(&s("github")), "merge"),
        ("taken over from the team", key("").team(&t("merge")), "merge"),
        ("all of a level is not all of another", key(&t("*")).team(&t("merge")), "merge"),
        ("an empty list leaves nothing", key(&t("merge")).team(&t("")), ""),
        ("customer", key(&t("merge delete")).customer(&t("merge")), "merge"),
        ("customer alone", key(&s("github")).customer(&t("merge")), "merge"),
        ("agent", key(&t("merge delete")).agent(&t("merge"), &[]), "merge"),
        ("agent's groups", key(&t("get_issue delete")).agent("", &["ag-github"]), "get_issue"),
        ("calling team", key(&t("merge delete")).caller(&t("merge"), ""), "merge"),
        ("calling user", key(&t("merge delete")).caller("", &t("merge")), "merge"),
        ("project", key(&t("merge delete")).project(&t("merge")), "merge"),
        ("user", key(&t("merge delete")).user(&t("merge")), "merge"),
        ("organization", key(&t("merge delete")).org(&t("merge")), "merge"),
        ("organization as the grant", key("").org(&t("merge")), "merge"),
        ("token", token(&t("merge delete")).team(&t("merge")), "merge"),
        ("all levels", key(&t("merge delete")).team(&t("merge get_issue")).customer(&t("get_issue")), ""),
    ]);
}

#[test]
fn access_groups_of_a_key_say_which_tools() {
    let own = |json: &str, groups: &[&str]| key(json).groups(groups);
    check([
        ("what it has only by a group it has with the group's tools", own("", &["ag-github"]), "get_issue"),
        ("two groups add up", own("", &["ag-github", "ag-owned"]).team_is(team("other", "")), "get_issue merge"),
        ("a group adds nothing to what it has itself", own(&t("merge"), &["ag-github"]), "merge"),
        ("nor narrows that", own(&s("github"), &["ag-github"]), ALL),
        ("one of its team's own adds", own(&t("delete"), &["ag-owned"]).team(""), "merge delete"),
        ("another team's does not", own(&t("delete"), &["ag-owned"]).team_is(team("ops", "")), "delete"),
        ("the team narrows them", own("", &["ag-github"]).team(&t("merge")), ""),
    ]);
    let mut facts = team("dev", "");
    facts.access_group_ids = vec!["ag-github".into(), "ag-owned".into()];
    check([("a team's groups", key("").team_is(facts), "get_issue merge")]);
}

#[test]
fn blocked_tools_are_gone_whatever_grants_them() {
    let blocked = |entry: &str| format!(r#"{{"blocked_tools": ["{entry}"]}}"#);
    let rest = "list_issues get_issue delete * github-merge";
    check([
        ("by the key", key(r#"{"mcp_servers": ["github"], "blocked_tools": ["merge"]}"#), rest),
        ("by the team", key(&s("github")).team(&blocked("merge")), rest),
        ("by the organization", key(&s("github")).org(&blocked("merge")), rest),
        ("by the customer", key(&s("github")).customer(&blocked("merge")), rest),
        ("by the user", key(&s("github")).user(&blocked("merge")), rest),
        ("by the agent", key(&s("github")).agent(&blocked("merge"), &[]), rest),
        ("by the calling user", key(&s("github")).caller("", &blocked("merge")), rest),
        ("by the project", key(&s("github")).project(&blocked("merge")), rest),
        ("for an admin", key(&blocked("merge")).role_is(Role::ProxyAdmin), rest),
        ("for the master key's customer", Principal::master().customer(&blocked("merge")), rest),
        (
            "where it is named",
            key(r#"{"mcp_tool_permissions": {"gh": ["merge", "delete"]}, "blocked_tools": ["merge"]}"#),
            "delete",
        ),
        (
            "as it is listed, by name",
            key(&s("github")).team(&blocked("github-merge")),
            "list_issues get_issue delete *",
        ),
        ("as it is listed, by alias", key(&s("github")).team(&blocked("gh-merge")), rest),
        ("as it is listed, by id", key(&s("github")).team(&blocked("g1-merge")), rest),
        ("of another server", key(&s("github")).team(&blocked("wiki-merge")), ALL),
        (
            "a star blocks no other",
            key(&s("github")).team(&blocked("*")),
            "list_issues get_issue merge delete github-merge",
        ),
    ]);
}

#[test]
fn what_is_open_to_all_keys_is_narrowed_by_what_levels_say_of_its_tools() {
    let on_open = |principal: &Principal, tool: &str| {
        let grant = compile(&wide_world(), principal, &Rules::default(), &internal());
        grant.server(&"open".into()).is_some_and(|tools| tools.allows(tool))
    };
    let team_a = r#"{"mcp_tool_permissions": {"open": ["a"]}}"#;

    assert!(on_open(&key(""), "b"));
    assert!(on_open(&key("").team(team_a), "a"));
    assert!(!on_open(&key("").team(team_a), "b"));
    assert!(!on_open(&key("").team(r#"{"blocked_tools": ["a"]}"#), "a"));
}

#[test]
fn a_prefix_with_spaces_is_blocked_as_it_is_listed() {
    use crate::world::{ServerFacts, World};

    let world = World::new([ServerFacts::new("1", "my server")], [], []);
    let principal = key(r#"{"mcp_servers": ["1"], "blocked_tools": ["my_server-x", "1-ü", "-x", "my server"]}"#);
    let grant = compile(&world, &principal, &Rules::default(), &internal());
    let filter = grant.server(&"1".into()).unwrap();

    assert!(!filter.allows("x") && !filter.allows("ü") && filter.allows("y"));
}
