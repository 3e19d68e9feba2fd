//! What closes everything: blocked rows and rows that are named and missing.

use crate::principal::{AgentCaller, Credential, Link, Permission, Principal, TeamFacts};
use crate::rules::Rules;
use crate::testing::{internal, key, organization, reached, servers_json, session, team, token, wide_world};

fn check(cases: impl IntoIterator<Item = (&'static str, Principal, &'static str)>) {
    for (case, principal, expected) in cases {
        assert_eq!(reached(&wide_world(), &principal, &Rules::default(), &internal()), expected, "{case}");
    }
}

fn missing<T>() -> Link<T> {
    Link::Missing("gone".into())
}

#[test]
fn a_row_that_is_named_and_missing_closes_everything_also_what_is_open_to_all_keys() {
    let ours = || {
        key(&servers_json("github")).team("").org("").customer("").agent("", &[]).caller("", "").project("").user("")
    };
    let with = |change: fn(&mut Principal)| {
        let mut principal = ours();
        change(&mut principal);
        principal
    };
    check([
        ("all there", ours(), "github open"),
        ("permission of the key", with(|it| it.facts().permission = missing()), ""),
        ("team", with(|it| it.team = missing()), ""),
        ("permission of the team", with(|it| it.team_mut().permission = missing()), ""),
        ("organization of the team", with(|it| it.team_mut().organization = missing()), ""),
        ("organization", with(|it| it.organization = missing()), ""),
        ("permission of the organization", with(|it| permission_of_organization(it, missing())), ""),
        ("permission of the customer", with(|it| it.customer.as_mut().unwrap().permission = missing()), ""),
        ("permission of the user", with(|it| it.user.as_mut().unwrap().permission = missing()), ""),
        ("agent", with(|it| it.agent = missing()), ""),
        ("project", with(|it| it.project = missing()), ""),
        ("calling team", with(|it| it.agent_caller = Some(AgentCaller { team: missing(), user: Link::None })), ""),
        ("calling user", with(|it| it.agent_caller = Some(AgentCaller { team: Link::None, user: missing() })), ""),
        ("a user without a row is no missing one", with(|it| it.user = None), "github open"),
    ]);
}

#[test]
fn whoever_is_blocked_reaches_nothing() {
    let with = |change: fn(&mut Principal)| {
        let mut principal = key(&servers_json("github")).team("").customer("").project("").caller("", "");
        change(&mut principal);
        principal
    };
    check([
        ("nobody", with(|_| {}), "github open"),
        ("key", with(|it| it.facts().blocked = true), ""),
        ("team", with(|it| it.team_mut().blocked = true), ""),
        ("customer", with(|it| it.customer.as_mut().unwrap().blocked = true), ""),
        ("project", with(block_project), ""),
        ("calling team", with(block_calling_team), ""),
        ("the team of a token", token("").team_is(TeamFacts { blocked: true, ..team("dev", "") }), ""),
    ]);
}

#[test]
fn the_pretended_team_of_dashboard_keys_is_no_team() {
    let ui = || Principal { team: Link::Missing("litellm-dashboard".into()), ..key(&servers_json("github")) };

    check([
        ("missing", ui(), "github open"),
        ("there", key(&servers_json("github")).team_is(team("litellm-dashboard", "")), "github open"),
    ]);
}

#[test]
fn a_fault_on_one_way_of_a_session_closes_that_way_only() {
    let dev = || team("dev", &servers_json("github"));
    let bad = [
        ("blocked", TeamFacts { blocked: true, ..team("ops", &servers_json("wiki")) }),
        ("permission missing", TeamFacts { permission: missing(), ..team("ops", "") }),
        ("organization missing", TeamFacts { organization: missing(), ..team("ops", &servers_json("wiki")) }),
    ];
    for (case, bad) in bad {
        check([(case, session(&servers_json("jira"), vec![bad, dev()]), "github jira mine open")]);
    }
    let mut own = session("", vec![dev()]);
    own.user.as_mut().unwrap().permission = missing();
    check([("the person's own permission is missing: nothing of their own, nor what is open", own, "github")]);
}

impl Principal {
    fn team_mut(&mut self) -> &mut TeamFacts {
        match &mut self.team {
            Link::Found(team) => team,
            _ => panic!("no team"),
        }
    }
}

fn permission_of_organization(principal: &mut Principal, permission: Permission) {
    let mut facts = organization("acme", "");
    facts.permission = permission;
    principal.organization = Link::found(facts);
}

fn block_project(principal: &mut Principal) {
    if let Link::Found(project) = &mut principal.project {
        project.blocked = true;
    }
}

fn block_calling_team(principal: &mut Principal) {
    let blocked = TeamFacts { blocked: true, ..team("ops", "") };
    principal.agent_caller = Some(AgentCaller { team: Link::found(blocked), user: Link::None });
}

#[test]
fn nobody_is_made_by_default() {
    assert_eq!(Principal::anonymous().credential, Credential::Anonymous);
    assert_eq!(Principal::anonymous().role(), None);
}
