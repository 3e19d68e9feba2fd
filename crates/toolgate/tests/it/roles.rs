//! Every management route with every role: who is let in is what the table says.

use http::Method;
use toolgate::admin::Least;
use toolgate::server::routes::{Access, ROUTES, Route};
use toolgate_store::{Actor, Key, Organization, OrganizationMembership, Store, Team, TeamMembership, User};

use crate::support::{Caller, TestGateway, config, key_of, memory};

/// Somebody, and which routes are open to them.
struct Somebody {
    name: &'static str,
    user_role: Option<&'static str>,
    team_role: Option<&'static str>,
    organization_role: Option<&'static str>,
    may: fn(Least) -> bool,
}

const SOMEBODIES: [Somebody; 8] = [
    somebody("proxy-admin", Some("proxy_admin"), |_| true),
    somebody("admin-viewer", Some("proxy_admin_viewer"), |least| matches!(least, Least::AdminViewer | Least::Holder)),
    somebody("internal-user", Some("internal_user"), |least| matches!(least, Least::Manager | Least::Holder)),
    somebody("internal-viewer", Some("internal_user_viewer"), |least| least == Least::Holder),
    somebody("customer", Some("customer"), |least| least == Least::Holder),
    somebody("unheard-of", Some("root"), |least| least == Least::Holder),
    Somebody {
        team_role: Some("admin"),
        ..somebody("team-admin", Some("internal_user_viewer"), |least| matches!(least, Least::Manager | Least::Holder))
    },
    Somebody {
        organization_role: Some("org_admin"),
        ..somebody("org-admin", Some("internal_user_viewer"), |least| matches!(least, Least::Manager | Least::Holder))
    },
];

const fn somebody(name: &'static str, user_role: Option<&'static str>, may: fn(Least) -> bool) -> Somebody {
    Somebody { name, user_role, team_role: None, organization_role: None, may }
}

impl Somebody {
    /// Puts them into the database with a key of theirs, and calls as them.
    async fn in_store(&self, store: &Store, gate: &TestGateway) -> Caller {
        let actor = Actor::default();
        let user_id = self.name.to_owned();
        let user = User { user_id: user_id.clone(), user_role: self.user_role.map(str::to_owned), ..User::default() };
        let place = self.team_role.map(|role| TeamMembership {
            team_id: "crew".into(),
            user_id: user_id.clone(),
            role: role.into(),
            ..TeamMembership::default()
        });
        store.create_user(&actor, user, place.into_iter().collect()).await.unwrap();
        if let Some(role) = self.organization_role {
            let member = OrganizationMembership {
                organization_id: "house".into(),
                user_id: user_id.clone(),
                user_role: Some(role.into()),
                ..OrganizationMembership::default()
            };
            store.add_organization_member(&actor, member, None).await.unwrap();
        }
        let key = format!("sk-key-of-{}", self.name);
        key_of(store, &key, Key { user_id: Some(user_id), ..Key::default() }).await;
        gate.anonymous().with("authorization", &format!("Bearer {key}"))
    }
}

fn management_routes() -> impl Iterator<Item = (&'static Route, Least)> {
    ROUTES.iter().filter_map(|route| match route.access {
        Access::Role(least) => Some((route, least)),
        Access::Public | Access::Key => None,
    })
}

fn path(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| if part.starts_with('{') { "nobody" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Whether the route's handler was reached. A body that is no JSON keeps it from doing anything.
async fn is_let_in(caller: &Caller, route: &Route) -> bool {
    let method: Method = route.method.parse().unwrap();
    let body = if method == Method::GET { "" } else { "{" };
    let reply = caller.send(method, &path(route), body).await;
    let text = reply.text();
    let refused =
        ["Only proxy admin can be used", "user not allowed to access this route", "Invalid proxy server token"];
    let let_in = !refused.iter().any(|words| text.contains(words));
    assert!(let_in || matches!(reply.status.as_u16(), 401 | 403), "{} {}: {reply:?}", route.method, route.path);
    let_in
}

async fn houses(store: &Store) {
    let actor = Actor::default();
    let house =
        Organization { organization_id: "house".into(), organization_alias: "House".into(), ..Organization::default() };
    store.create_organization(&actor, house, None).await.unwrap();
    store.create_team(&actor, Team { team_id: "crew".into(), ..Team::default() }, Vec::new()).await.unwrap();
}

#[tokio::test]
async fn every_management_route_lets_in_the_roles_that_the_table_says() {
    let store = memory().await;
    houses(&store).await;
    let gate = TestGateway::start_with_store(config(), store.clone()).await;
    let stranger = gate.anonymous().with("authorization", "Bearer sk-nobody-knows-this-key");
    for (route, _) in management_routes() {
        assert!(is_let_in(&gate.admin(), route).await, "master key: {} {}", route.method, route.path);
        assert!(!is_let_in(&stranger, route).await, "a stranger: {} {}", route.method, route.path);
    }
    for somebody in &SOMEBODIES {
        let caller = somebody.in_store(&store, &gate).await;
        for (route, least) in management_routes() {
            let let_in = is_let_in(&caller, route).await;
            assert_eq!(let_in, (somebody.may)(least), "{}: {} {}", somebody.name, route.method, route.path);
        }
    }
}

#[tokio::test]
async fn without_a_database_management_routes_say_what_is_missing() {
    let gate = TestGateway::start(config()).await;
    for (route, _) in management_routes() {
        let reply = gate.admin().send(route.method.parse().unwrap(), &path(route), "{}").await;
        assert_eq!(reply.status, 503, "{} {}: {reply:?}", route.method, route.path);
        assert!(reply.text().contains("no database"), "{reply:?}");
    }
}
