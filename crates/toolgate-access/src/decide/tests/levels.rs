//! Servers: keys, teams, groups, and the levels that narrow.

use crate::permission::{ALL_PROXY_MCP_SERVERS, ALL_TEAM_MCP_SERVERS};
use crate::principal::{Link, Principal};
use crate::rules::Rules;
use crate::testing::{internal, key, organization, reached, servers_json, team, token, world};

const NONE: &str = "";
const EMPTY: &str = r#"{"mcp_servers": [], "mcp_access_groups": [], "mcp_toolsets": [], "mcp_tool_permissions": {}}"#;

/// A permission for servers.
fn s(servers: &str) -> String {
    servers_json(servers)
}

fn check(cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    check_with(&Rules::default(), cases);
}

fn check_with(rules: &Rules, cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    for (case, principal, expected) in cases {
        assert_eq!(reached(&world(), &principal, rules, &internal()), expected, "{case}");
    }
}

#[test]
fn a_level_grants_what_its_servers_tags_tools_and_toolsets_name() {
    check([
        ("by id", key(&s("g1")), "github"),
        ("by the other id", key(&s("g2")), "github"),
        ("by name", key(&s("github")), "github"),
        ("by alias", key(&s("gh")), "github"),
        ("names are exact", key(&s("GitHub git github2 ")), ""),
        ("by tag", key(r#"{"mcp_access_groups": ["dev"]}"#), "github wiki"),
        ("a tag is no server's name", key(&s("dev")), ""),
        ("a server's name is no tag", key(r#"{"mcp_access_groups": ["github"]}"#), ""),
        ("by naming tools", key(r#"{"mcp_tool_permissions": {"gh": ["merge"]}}"#), "github"),
        ("by naming no tools", key(r#"{"mcp_tool_permissions": {"gh": []}}"#), "github"),
        ("by toolset id", key(r#"{"mcp_toolsets": ["t1"]}"#), "github jira"),
        ("a toolset's name is not its id", key(r#"{"mcp_toolsets": ["triage"]}"#), ""),
        (
            "by all of them",
            key(r#"{"mcp_servers": ["chat"], "mcp_access_groups": ["docs"], "mcp_toolsets": ["t1"]}"#),
            "chat github jira wiki",
        ),
        ("models and vector stores are no servers", key(r#"{"models": ["github"], "vector_stores": ["g1"]}"#), ""),
    ]);
}

#[test]
fn rule_2_a_key_and_its_team() {
    check([
        ("neither names anything: default deny", key(NONE).team(NONE), ""),
        ("no team at all: default deny", key(NONE), ""),
        ("only the key names something", key(&s("github wiki")).team(NONE), "github wiki"),
        ("an empty team names nothing", key(&s("github")).team(EMPTY), "github"),
        ("only the team names something", key(NONE).team(&s("github wiki")), "github wiki"),
        ("an empty key takes over its team's", key(EMPTY).team(&s("github wiki")), "github wiki"),
        ("both: what both name", key(&s("github jira")).team(&s("github wiki")), "github"),
        ("both: nothing in common", key(&s("jira")).team(&s("wiki")), ""),
        ("a key's typing error does not open its team", key(&s("githb")).team(&s("github")), ""),
        ("a team's typing error does not set the key free", key(&s("github")).team(&s("githb")), ""),
        ("nor do a key's deleted toolsets", key(r#"{"mcp_toolsets": ["gone"]}"#).team(&s("github")), ""),
        ("nor does its empty toolset", key(r#"{"mcp_toolsets": ["t0"]}"#).team(&s("github")), ""),
        ("nor do its unused tags", key(r#"{"mcp_access_groups": ["gone"]}"#).team(&s("github")), ""),
        ("nor do its tools of a gone server", key(r#"{"mcp_tool_permissions": {"x": ["y"]}}"#).team(&s("github")), ""),
    ]);
}

#[test]
fn rule_2_with_require_key_mcp_access_defined_a_key_takes_over_nothing() {
    let rules = Rules { require_key_mcp_access_defined: true, ..Rules::default() };
    check_with(
        &rules,
        [
            ("nothing from the team", key(NONE).team(&s("github")), ""),
            ("nor with an empty permission", key(EMPTY).team(&s("github")), ""),
            ("what it names itself", key(&s("github")).team(&s("github wiki")), "github"),
            ("what its groups name", key(NONE).team(&s("github")).groups(&["ag-wiki"]), "wiki"),
            ("nothing from the organization", key(NONE).org(&s("github")), ""),
            ("the organization still narrows", key(&s("github wiki")).org(&s("github")), "github"),
        ],
    );
}

#[test]
fn sentinels() {
    check([
        ("a team may have all servers", key(NONE).team(&s(ALL_PROXY_MCP_SERVERS)), "chat github jira wiki"),
        ("then its keys have what they name", key(&s("github")).team(&s(ALL_PROXY_MCP_SERVERS)), "github"),
        ("a key may not have them", key(&s(ALL_PROXY_MCP_SERVERS)), ""),
        ("nor with its team's help", key(&s(ALL_PROXY_MCP_SERVERS)).team(&s("github")), ""),
        ("nor an organization", key(NONE).org(&s(ALL_PROXY_MCP_SERVERS)), ""),
        ("the reserved word leads nowhere", key(&s(ALL_TEAM_MCP_SERVERS)).team(&s("github")), ""),
        ("a key opts out", key(&s("no-mcp-servers")).team(&s("github")), ""),
        ("whatever else it names", key(&s("no-mcp-servers github")), ""),
        ("also its access groups", key(&s("no-mcp-servers")).groups(&["ag-wiki"]), ""),
        ("a team that names none closes itself", key(&s("github")).team(&s("no-mcp-servers github")), ""),
        ("and an organization", key(&s("github")).org(&s("no-mcp-servers")), ""),
    ]);
}

#[test]
fn rule_3_access_groups_of_a_key_go_beyond_its_team() {
    let dev_with = |groups: &[&str], json: &str| {
        let mut facts = team("dev", json);
        facts.access_group_ids = groups.iter().map(|id| (*id).into()).collect();
        facts
    };
    check([
        ("they grant alone", key(NONE).groups(&["ag-wiki"]), "wiki"),
        ("beyond the team", key(NONE).team(&s("github")).groups(&["ag-wiki"]), "github wiki"),
        ("beyond key and team", key(&s("github")).team(&s("github")).groups(&["ag-wiki"]), "github wiki"),
        ("a group that is gone grants nothing", key(NONE).groups(&["gone"]), ""),
        ("a group for models is no scope", key(NONE).groups(&["ag-models"]).org(&s("github")), "github"),
        ("a group that is gone is one", key(NONE).groups(&["gone"]).org(&s("github")), ""),
        ("but no ceiling lets them through", key(NONE).groups(&["ag-wiki"]).customer(&s("github")), ""),
        ("a team's groups grant to its keys", key(NONE).team_is(dev_with(&["ag-wiki"], NONE)), "wiki"),
        ("beside its own", key(NONE).team_is(dev_with(&["ag-wiki"], &s("github"))), "github wiki"),
        ("and narrow its keys", key(&s("github")).team_is(dev_with(&["ag-wiki"], NONE)), ""),
        ("a team's group for models does not", key(&s("github")).team_is(dev_with(&["ag-models"], NONE)), "github"),
        ("a team's group that is gone does", key(&s("github")).team_is(dev_with(&["gone"], NONE)), ""),
    ]);
}

#[test]
fn rules_4_to_6_customer_agent_caller_project_and_user_narrow() {
    let ours = || key(&s("github wiki jira"));
    let levels: [(&str, fn(Principal, &str) -> Principal); 6] = [
        ("customer", |it, json| it.customer(json)),
        ("agent", |it, json| it.agent(json, &[])),
        ("the calling team", |it, json| it.caller(json, "")),
        ("the calling user", |it, json| it.caller("", json)),
        ("project", |it, json| it.project(json)),
        ("user", |it, json| it.user(json)),
    ];
    for (level, narrowed) in levels {
        let cases = [
            ("names nothing", NONE.to_owned(), "github jira wiki"),
            ("is empty", EMPTY.to_owned(), "github jira wiki"),
            ("names some", s("github chat"), "github"),
            ("names a tag", r#"{"mcp_access_groups": ["dev"]}"#.to_owned(), "github wiki"),
            ("names a toolset", r#"{"mcp_toolsets": ["t1"]}"#.to_owned(), "github jira"),
            ("names others", s("chat"), ""),
            ("names what is gone", s("gone"), ""),
            ("names none", s("no-mcp-servers"), ""),
        ];
        for (case, json, expected) in cases {
            let principal = narrowed(ours(), &json);
            let found = reached(&world(), &principal, &Rules::default(), &internal());
            assert_eq!(found, expected, "{level} {case}");
            let alone = reached(&world(), &narrowed(key(NONE), &json), &Rules::default(), &internal());
            assert_eq!(alone, "", "{level} {case} grants nothing by itself");
        }
    }
}

#[test]
fn rule_4_with_require_end_user_mcp_access_defined_a_customer_needs_a_permission() {
    let rules = Rules { require_end_user_mcp_access_defined: true, ..Rules::default() };
    check_with(
        &rules,
        [
            ("without one: nothing", key(&s("github")).customer(NONE), ""),
            ("an empty one is none", key(&s("github")).customer(EMPTY), ""),
            ("with one", key(&s("github wiki")).customer(&s("github")), "github"),
            ("no customer, no need", key(&s("github")), "github"),
            ("for the master key too", Principal::master().customer(NONE), ""),
        ],
    );
}

#[test]
fn rule_5_an_agents_access_groups_narrow_even_when_they_name_no_server() {
    check([
        ("they narrow", key(&s("github wiki")).agent(NONE, &["ag-wiki"]), "wiki"),
        ("with its permission", key(&s("github wiki")).agent(&s("github"), &["ag-wiki"]), ""),
        ("to nothing", key(&s("github wiki")).agent(NONE, &["ag-models"]), ""),
        ("gone ones too", key(&s("github wiki")).agent(NONE, &["gone"]), ""),
    ]);
}

#[test]
fn rule_7_an_organization_narrows_or_is_the_grant() {
    let of = |json: &str, of_org: &str| {
        let mut facts = team("dev", json);
        facts.organization = Link::found(organization("acme", of_org));
        facts
    };
    check([
        ("narrows a key", key(&s("github wiki")).org(&s("github")), "github"),
        ("narrows a team", key(NONE).team(&s("github wiki")).org(&s("github")), "github"),
        ("names nothing: no narrowing", key(&s("github")).org(NONE), "github"),
        ("names what is gone: nothing left", key(&s("github")).org(&s("gone")), ""),
        ("is the grant where nobody below names any", key(NONE).org(&s("github wiki")), "github wiki"),
        ("also with an empty team", key(EMPTY).team(EMPTY).org(&s("github")), "github"),
        ("not where the key's names lead nowhere", key(&s("gone")).org(&s("github")), ""),
        ("not where its toolset is gone", key(r#"{"mcp_toolsets": ["gone"]}"#).org(&s("github")), ""),
        ("not where a customer's narrowed", key(NONE).customer(&s("wiki")).org(&s("github")), ""),
        ("not where the user's narrowed", key(NONE).user(&s("wiki")).org(&s("github wiki")), ""),
        ("a team's organization counts too", key(&s("github wiki")).team_is(of(NONE, &s("wiki"))), "wiki"),
        ("beside the key's own", key(&s("github")).team_is(of(NONE, &s("wiki"))).org(&s("github")).rename_org(), ""),
        ("it may be the grant", key(NONE).team_is(of(NONE, &s("wiki"))), "wiki"),
        (
            "two that grant grant what both have",
            key(NONE).team_is(of(NONE, &s("wiki jira"))).org(&s("github wiki")).rename_org(),
            "wiki",
        ),
    ]);
}

#[test]
fn a_token_has_its_users_permission_as_its_own() {
    check([
        ("nobody grants", token(NONE), ""),
        ("the user's", token(&s("github")), "github"),
        ("the team's", token(NONE).team(&s("github wiki")), "github wiki"),
        ("what both have", token(&s("github jira")).team(&s("github wiki")), "github"),
        ("within the organization", token(&s("github jira")).org(&s("jira")), "jira"),
    ]);
}

impl Principal {
    /// The same with an organization of another id than the team's.
    fn rename_org(mut self) -> Self {
        if let Link::Found(organization) = &mut self.organization {
            organization.organization_id = "other".into();
        }
        self
    }
}
