//! Random callers in one world: what must hold whatever the rows say.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use crate::explain::{Effect, explain};
use crate::grant::{Grant, Place, compile};
use crate::principal::{Credential, Link, Principal, TeamFacts};
use crate::role::Role;
use crate::rules::{ClientPlace, Rules};
use crate::testing::{key, organization, session, team, token, wide_world};
use crate::world::World;

const SERVERS: [&str; 12] = [
    "github",
    "g2",
    "gh",
    "wiki",
    "jira",
    "chat",
    "open",
    "mine",
    "inside",
    "gone",
    "no-mcp-servers",
    "all-proxy-mcpservers",
];
const TOOLS: [&str; 5] = ["list_issues", "get_issue", "merge", "find", "*"];
const BLOCKED: [&str; 4] = ["merge", "gh-merge", "get_issue", "jira-find"];
const GROUPS: [&str; 5] = ["ag-wiki", "ag-github", "ag-owned", "ag-models", "gone"];

fn some(of: &'static [&'static str], most: usize) -> impl Strategy<Value = Option<Vec<&'static str>>> {
    prop_oneof![2 => Just(None), 3 => subsequence(of, 0..=most.min(of.len())).prop_map(Some)]
}

/// A permission's JSON, or none.
fn permission() -> BoxedStrategy<String> {
    let tools = proptest::collection::btree_map(select(&SERVERS[..]), subsequence(&TOOLS[..], 0..=3), 0..3);
    let row = (
        some(&SERVERS, 3),
        some(&["dev", "docs", "gone"], 2),
        tools,
        some(&["t1", "t0", "gone"], 2),
        some(&BLOCKED, 2),
    );
    let row = row.prop_map(|(servers, tags, tools, toolsets, blocked)| {
        serde_json::json!({
            "mcp_servers": servers, "mcp_access_groups": tags, "mcp_tool_permissions": tools,
            "mcp_toolsets": toolsets, "blocked_tools": blocked,
        })
        .to_string()
    });
    prop_oneof![1 => Just(String::new()), 3 => row].boxed()
}

fn some_team(id: &'static str) -> BoxedStrategy<TeamFacts> {
    let organization_of = prop_oneof![
        3 => Just(Link::None),
        2 => permission().prop_map(|json| Link::found(organization("theirs", &json))),
        1 => Just(Link::Missing("gone".to_owned())),
    ];
    (permission(), subsequence(&GROUPS[..], 0..2), organization_of, prop::bool::weighted(0.1))
        .prop_map(move |(json, groups, organization, blocked)| TeamFacts {
            access_group_ids: groups.into_iter().map(Into::into).collect(),
            organization,
            blocked,
            ..team(id, &json)
        })
        .boxed()
}

/// Somebody, of every kind, at most a few levels deep.
fn somebody() -> BoxedStrategy<Principal> {
    let who = prop_oneof![
        6 => (permission(), subsequence(&GROUPS[..], 0..3)).prop_map(|(json, groups)| key(&json).groups(&groups)),
        2 => permission().prop_map(|json| token(&json)),
        3 => (permission(), proptest::collection::vec(some_team("dev"), 0..3))
            .prop_map(|(json, teams)| session(&json, teams)),
        1 => Just(Principal::master()),
        1 => Just(Principal::anonymous()),
    ];
    let levels = (
        proptest::option::of(some_team("dev")),
        proptest::option::of(permission()),
        proptest::option::weighted(0.3, permission()),
        proptest::option::weighted(0.3, permission()),
        proptest::option::weighted(0.2, select(&Role::ALL[..])),
    );
    (who, levels)
        .prop_map(|(mut who, (team, org, customer, user, role))| {
            let is_key = matches!(who.credential, Credential::Key(_));
            if let (Some(team), true) = (team, is_key || matches!(who.credential, Credential::Token(_))) {
                who = who.team_is(team);
            }
            if let Some(json) = org {
                who = who.org(&json);
            }
            if let Some(json) = customer {
                who = who.customer(&json);
            }
            if let (Some(json), true) = (user, is_key) {
                who = who.user(&json);
            }
            match role {
                Some(role) if !matches!(who.credential, Credential::Master | Credential::Anonymous) => {
                    who.role_is(role)
                }
                _ => who,
            }
        })
        .boxed()
}

fn some_rules() -> impl Strategy<Value = Rules> {
    let flag = || prop::bool::weighted(0.2);
    (flag(), flag(), flag()).prop_map(|(key, end_user, scope)| Rules {
        require_key_mcp_access_defined: key,
        require_end_user_mcp_access_defined: end_user,
        mcp_allow_all_keys_respects_mcp_scope: scope,
        ..Rules::default()
    })
}

fn some_place() -> impl Strategy<Value = Place> {
    let client = prop_oneof![Just(ClientPlace::Internal), Just(ClientPlace::External)];
    let toolset = prop_oneof![6 => Just(None), 2 => Just(Some("t1")), 1 => Just(Some("t0")), 1 => Just(Some("gone"))];
    (client, toolset).prop_map(|(client, toolset)| Place { client, toolset: toolset.map(Into::into) })
}

/// Every server with every tool that somebody names, and one that nobody does.
fn visible(world: &World, grant: &Grant) -> Vec<(String, Vec<&'static str>)> {
    let tools = || TOOLS.into_iter().chain(BLOCKED).chain(["nobody's"]);
    let servers = world.servers().iter().filter_map(|server| {
        let filter = grant.server(&server.id)?;
        Some((server.id.to_string(), tools().filter(|tool| filter.allows(tool)).collect()))
    });
    servers.collect()
}

fn is_within(less: &[(String, Vec<&str>)], more: &[(String, Vec<&str>)]) -> bool {
    less.iter().all(|(server, tools)| {
        more.iter().any(|(other, others)| server == other && tools.iter().all(|tool| others.contains(tool)))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn a_level_that_narrows_never_widens(
        who in somebody(), rules in some_rules(), place in some_place(), json in permission(), groups in subsequence(&GROUPS[..], 0..2)
    ) {
        let world = wide_world();
        let seen = |who: &Principal| visible(&world, &compile(&world, who, &rules, &place));
        let before = seen(&who);
        let mut narrowed = vec![
            who.clone().agent(&json, &groups),
            who.clone().caller(&json, ""),
            who.clone().caller("", &json),
            who.clone().project(&json),
        ];
        if who.customer.is_none() {
            narrowed.push(who.clone().customer(&json));
        }
        if let (Credential::Key(key), Some(user)) = (&who.credential, &who.user) {
            let without = who.clone().user("").role_is(user.user_role.unwrap_or(Role::InternalUser));
            prop_assert!(is_within(&before, &seen(&without)), "user {:?}", user);
            let declares = key.permission.row().is_some_and(|permission| permission.names_anything());
            if declares && who.organization == Link::None && user.user_role.is_none() {
                narrowed.push(who.clone().org(&json));
            }
        }
        for narrower in narrowed {
            prop_assert!(is_within(&seen(&narrower), &before), "{:?}", narrower);
        }
    }

    #[test]
    fn a_toolset_and_a_place_outside_never_show_more(who in somebody(), rules in some_rules()) {
        let world = wide_world();
        let seen = |place: Place| visible(&world, &compile(&world, &who, &rules, &place));
        let inside = seen(ClientPlace::Internal.into());
        prop_assert!(is_within(&seen(ClientPlace::External.into()), &inside));
        let toolset = seen(Place::from(ClientPlace::Internal).at_toolset("t1".into()));
        let master = compile(&world, &Principal::master(), &rules, &Place::from(ClientPlace::Internal).at_toolset("t1".into()));
        prop_assert!(is_within(&toolset, &visible(&world, &master)));
    }

    #[test]
    fn explain_agrees_with_the_grant(who in somebody(), rules in some_rules(), place in some_place()) {
        let world = wide_world();
        let grant = compile(&world, &who, &rules, &place);
        for server in world.servers() {
            for tool in [None, Some("merge"), Some("list_issues"), Some("nobody's")] {
                let told = explain(&world, &who, &rules, &place, server.id.as_str(), tool);
                let allowed = grant.server(&server.id).is_some_and(|filter| tool.is_none_or(|tool| filter.allows(tool)));
                prop_assert_eq!(told.allowed, allowed, "{} {:?}\n{}", server.id, tool, told);
                prop_assert_eq!(told.first_denial.is_none(), allowed, "{}", told);
                prop_assert!(!told.steps.is_empty());
                prop_assert!(told.first_denial.is_none_or(|first| told.steps[first].effect == Effect::Denies));
                prop_assert!(allowed || !told.would_grant.is_empty(), "{}", told);
            }
        }
    }

    #[test]
    fn fingerprints_are_equal_where_the_same_is_seen_and_nowhere_else(
        one in somebody(), other in somebody(), rules in some_rules(), place in some_place()
    ) {
        let world = wide_world();
        let (one, other) = (compile(&world, &one, &rules, &place), compile(&world, &other, &rules, &place));
        let same = visible(&world, &one) == visible(&world, &other);
        prop_assert_eq!(one.fingerprint() == other.fingerprint(), same);
    }
}
