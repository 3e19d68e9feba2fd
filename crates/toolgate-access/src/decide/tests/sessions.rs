//! People who signed in: their own ways and their teams' are added up.

use crate::grant::compile;
use crate::principal::{Credential, Link, Principal, TeamFacts};
use crate::rules::Rules;
use crate::testing::{internal, organization, reached, servers_json as s, session, team, wide_world, world};

fn check(cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    for (case, principal, expected) in cases {
        assert_eq!(reached(&world(), &principal, &Rules::default(), &internal()), expected, "{case}");
    }
}

fn within(organization_json: &str, of: TeamFacts) -> TeamFacts {
    TeamFacts { organization: Link::found(organization("its own", organization_json)), ..of }
}

#[test]
fn a_session_reaches_what_the_person_and_each_team_reaches() {
    let dev = || team("dev", &s("github"));
    let ops = || team("ops", &s("wiki"));
    check([
        ("nothing", session("", vec![team("dev", "")]), ""),
        ("their own", session(&s("jira"), vec![]), "jira"),
        ("a team's", session("", vec![dev()]), "github"),
        ("added up, not narrowed by one another", session(&s("jira"), vec![dev(), ops()]), "github jira wiki"),
        ("with groups of their own", session("", vec![dev()]).groups(&["ag-wiki"]), "github wiki"),
        ("their own words close their own way only", session(&s("no-mcp-servers"), vec![dev()]), "github"),
    ]);
}

#[test]
fn an_organization_narrows_each_way_of_its_own_and_is_never_the_grant() {
    let dev = || team("dev", &s("github wiki"));
    check([
        ("nobody named any", session("", vec![team("dev", "")]).org(&s("github")), ""),
        ("the person's narrows their own way", session(&s("jira wiki"), vec![]).org(&s("wiki")), "wiki"),
        ("and teams without one", session("", vec![dev()]).org(&s("wiki")), "wiki"),
        ("a team's own goes before it", session("", vec![within(&s("github"), dev())]).org(&s("wiki")), "github"),
        ("and does not narrow the person", session(&s("jira"), vec![within(&s("github"), dev())]), "github jira"),
    ]);
}

#[test]
fn rules_for_keys_do_not_bind_sessions_and_those_for_customers_do() {
    let rules =
        Rules { require_key_mcp_access_defined: true, mcp_allow_all_keys_respects_mcp_scope: true, ..Rules::default() };
    let dev = || vec![team("dev", &s("github wiki"))];

    assert_eq!(reached(&wide_world(), &session("", dev()), &rules, &internal()), "github mine open wiki");
    check([("a customer narrows all ways", session(&s("jira"), dev()).customer(&s("jira wiki")), "jira wiki")]);
}

#[test]
fn a_clients_token_for_some_servers_reaches_only_those() {
    let mut ours = session(&s("github wiki"), vec![team("dev", &s("jira"))]);
    if let Credential::Session(facts) = &mut ours.credential {
        facts.resource_servers = Some(vec!["j1".into(), "g2".into(), "c1".into()]);
    }
    assert_eq!(reached(&wide_world(), &ours, &Rules::default(), &internal()), "github jira");

    let mut none = session(&s("github"), vec![]);
    if let Credential::Session(facts) = &mut none.credential {
        facts.resource_servers = Some(vec![]);
    }
    assert_eq!(reached(&wide_world(), &none, &Rules::default(), &internal()), "");
}

#[test]
fn tools_of_a_session_are_those_of_the_ways_that_reach_the_server() {
    let only = |tool: &str| format!(r#"{{"mcp_tool_permissions": {{"github": ["{tool}"]}}}}"#);
    let tools = |principal: &Principal| {
        let grant = compile(&wide_world(), principal, &Rules::default(), &internal());
        ["a", "b", "c"]
            .into_iter()
            .filter(|tool| grant.server(&"g1".into()).is_some_and(|tools| tools.allows(tool)))
            .collect::<String>()
    };
    let cases = [
        ("either way's", session(&only("a"), vec![team("dev", &only("b"))]), "ab"),
        ("a way without words on tools has all", session(&only("a"), vec![team("dev", &s("github"))]), "abc"),
        ("a way that does not reach it adds nothing", session(&only("a"), vec![team("dev", &s("wiki"))]), "a"),
        ("a customer narrows them", session(&only("a"), vec![team("dev", &only("b"))]).customer(&only("b")), "b"),
        (
            "a block is its way's",
            session(r#"{"mcp_servers": ["github"], "blocked_tools": ["a"]}"#, vec![team("dev", &only("a"))]),
            "abc",
        ),
    ];
    for (case, principal, expected) in cases {
        assert_eq!(tools(&principal), expected, "{case}");
    }
}
