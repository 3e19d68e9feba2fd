use toolgate_store::{
    AccessGroup, AccessGroupChanges, Budget, BudgetChanges, Change, Customer, CustomerChanges, Direction, Key,
    Organization, OrganizationMembership, OwnBudget, PageOf, Project, Secret, StoreError, Team, TeamChanges,
    TeamFilter, TeamMembership, TeamMembershipChanges, TeamOrder, User, UserChanges, UserFilter, UserOrder,
};

use crate::support::{actor, hash, key, stores};

fn user(id: &str, email: Option<&str>) -> User {
    User { user_id: id.into(), user_email: email.map(str::to_owned), ..User::default() }
}

fn team(id: &str) -> Team {
    Team { team_id: id.into(), ..Team::default() }
}

fn member(user_id: &str) -> TeamMembership {
    TeamMembership { user_id: user_id.into(), ..TeamMembership::default() }
}

#[tokio::test]
async fn an_address_belongs_to_one_user_however_it_is_written() {
    for (_database, store) in stores().await {
        store.create_user(&actor(), user("u1", Some("A@example.com")), vec![]).await.unwrap();
        let error = store.create_user(&actor(), user("u2", Some("a@EXAMPLE.com")), vec![]).await.unwrap_err();
        assert_eq!(error, StoreError::Conflict { what: "user_email".into() });
        store.create_user(&actor(), user("u2", None), vec![]).await.unwrap();
        let changes = UserChanges { user_email: Change::Set(Some("a@example.com".into())), ..UserChanges::default() };
        assert!(matches!(store.update_user(&actor(), "u2", changes).await, Err(StoreError::Conflict { .. })));
        let filter = UserFilter { user_email: Some("a@example.COM".into()), ..UserFilter::default() };
        let order = (UserOrder::UserId, Direction::Ascending);
        assert_eq!(store.users(&filter, order, PageOf::new(1, 9)).await.unwrap().items[0].user_id, "u1");
    }
}

#[tokio::test]
async fn deleting_a_user_leaves_nothing_of_theirs() {
    for (_database, store) in stores().await {
        store.create_team(&actor(), team("t"), vec![]).await.unwrap();
        store
            .create_user(&actor(), user("u", None), vec![TeamMembership { team_id: "t".into(), ..member("") }])
            .await
            .unwrap();
        store.create_key(&actor(), Key { user_id: Some("u".into()), ..key(1) }).await.unwrap();
        assert_eq!(store.team_members("t").await.unwrap().len(), 1);

        assert_eq!(store.delete_users(&actor(), &["u".into(), "v".into()]).await.unwrap().len(), 1);
        assert_eq!(store.user("u").await.unwrap(), None);
        assert_eq!(store.team_members("t").await.unwrap(), []);
        assert_eq!(store.key(&hash(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn members_come_and_go_with_their_keys() {
    for (_database, store) in stores().await {
        let error = store.add_team_members(&actor(), "t", vec![(member("u"), None)]).await.unwrap_err();
        assert_eq!(error, StoreError::NotFound { what: "teams", id: "t".into() });
        store.create_team(&actor(), team("t"), vec![member("u")]).await.unwrap();
        let twice =
            store.add_team_members(&actor(), "t", vec![(member("v"), None), (member("u"), None)]).await.unwrap_err();
        assert!(matches!(twice, StoreError::Conflict { .. }));
        assert_eq!(store.team_members("t").await.unwrap().len(), 1, "all or none");

        let admin = TeamMembershipChanges { role: Change::Set("admin".into()), ..TeamMembershipChanges::default() };
        assert_eq!(store.update_team_member(&actor(), "t", "u", admin, None).await.unwrap().role, "admin");
        let theirs = Key { team_id: Some("t".into()), user_id: Some("u".into()), ..key(1) };
        store.create_key(&actor(), theirs).await.unwrap();
        store.create_key(&actor(), Key { user_id: Some("u".into()), ..key(2) }).await.unwrap();
        assert!(store.remove_team_member(&actor(), "t", "u").await.unwrap().is_some());
        assert!(store.remove_team_member(&actor(), "t", "u").await.unwrap().is_none());
        assert_eq!(store.key(&hash(1)).await.unwrap(), None);
        assert!(store.key(&hash(2)).await.unwrap().is_some(), "a key outside the team stays");
    }
}

#[tokio::test]
async fn an_organization_goes_with_its_teams_and_keys() {
    for (_database, store) in stores().await {
        let organization = Organization { organization_id: "o".into(), ..Organization::default() };
        store.create_organization(&actor(), organization, None).await.unwrap();
        let place = OrganizationMembership {
            organization_id: "o".into(),
            user_id: "u".into(),
            user_role: Some("org_admin".into()),
            ..OrganizationMembership::default()
        };
        store.add_organization_member(&actor(), place.clone(), None).await.unwrap();
        assert!(matches!(store.add_organization_member(&actor(), place, None).await, Err(StoreError::Conflict { .. })));
        let of_it = Team { organization_id: Some("o".into()), ..team("t") };
        store.create_team(&actor(), of_it, vec![]).await.unwrap();
        store.create_key(&actor(), Key { team_id: Some("t".into()), ..key(1) }).await.unwrap();

        store.delete_organization(&actor(), "o").await.unwrap().unwrap();
        assert_eq!(store.team("t").await.unwrap(), None);
        assert_eq!(store.key(&hash(1)).await.unwrap(), None);
        assert_eq!(store.organization_memberships_of("u").await.unwrap(), []);
        assert_eq!(store.delete_organization(&actor(), "o").await.unwrap(), None);
    }
}

#[tokio::test]
async fn teams_are_found_by_member_and_scope() {
    for (_database, store) in stores().await {
        for id in ["t1", "t2", "t3"] {
            let members = if id == "t3" { vec![] } else { vec![member("u")] };
            store
                .create_team(&actor(), Team { team_alias: Some(id.to_uppercase()), ..team(id) }, members)
                .await
                .unwrap();
        }
        let ids = async |filter: TeamFilter| {
            let order = (TeamOrder::TeamAlias, Direction::Ascending);
            let page = store.teams(&filter, order, PageOf::new(1, 9)).await.unwrap();
            page.items.into_iter().map(|team| team.team_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(TeamFilter { member: Some("u".into()), ..TeamFilter::default() }).await, ["t1", "t2"]);
        assert_eq!(ids(TeamFilter { team_alias_contains: Some("t2".into()), ..TeamFilter::default() }).await, ["t2"]);
        assert_eq!(ids(TeamFilter { visible: Some(Default::default()), ..TeamFilter::default() }).await, [""; 0]);
        assert_eq!(ids(TeamFilter { team_ids: Some(vec![]), ..TeamFilter::default() }).await, [""; 0]);
        let of = store.members_of_teams(&["t1".into(), "t3".into()]).await.unwrap();
        assert_eq!(of.len(), 1);
    }
}

#[tokio::test]
async fn customers_have_budgets_and_are_blocked_before_they_are_known() {
    for (_database, store) in stores().await {
        let budget = Budget { budget_id: "b".into(), max_budget: Some(3.0), ..Budget::default() };
        store.create_budget(&actor(), budget).await.unwrap();
        let customer = Customer { user_id: "c".into(), budget_id: Some("b".into()), ..Customer::default() };
        store.create_customer(&actor(), customer, None).await.unwrap();
        let (_, budget) = store.customer_with_budget("c").await.unwrap().unwrap();
        assert_eq!(budget.unwrap().max_budget, Some(3.0));
        assert_eq!(store.customer_with_budget("d").await.unwrap(), None);

        let blocked = store.set_customers_blocked(&actor(), &["c".into(), "d".into()], true).await.unwrap();
        assert!(blocked.iter().all(|customer| customer.blocked));
        assert!(store.customer("d").await.unwrap().unwrap().blocked);
        assert_eq!(store.customers(PageOf::new(1, 1)).await.unwrap().total, 2);
        assert_eq!(store.delete_customers(&actor(), &["d".into()]).await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_project_that_has_keys_stays_until_its_team_goes() {
    for (_database, store) in stores().await {
        store.create_team(&actor(), Team { team_id: "t".into(), ..Team::default() }, vec![]).await.unwrap();
        for id in ["p", "q"] {
            let project = Project { project_id: id.into(), team_id: Some("t".into()), ..Project::default() };
            store.create_project(&actor(), project, None).await.unwrap();
        }
        let its = Key { project_id: Some("p".into()), team_id: Some("t".into()), ..key(1) };
        store.create_key(&actor(), its).await.unwrap();
        assert_eq!(store.projects(None, PageOf::new(1, 9)).await.unwrap().total, 2);
        assert_eq!(store.projects(Some(&["u".into()]), PageOf::new(1, 9)).await.unwrap().total, 0);

        let error = store.delete_projects(&actor(), &["q".into(), "p".into()]).await.unwrap_err();
        assert_eq!(error, StoreError::InUse { id: "p".into(), by: 1, what: "keys" });
        let error = store.delete_projects(&actor(), &["q".into(), "r".into()]).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        assert!(store.project("q").await.unwrap().is_some(), "all of them or none");
        assert_eq!(store.delete_projects(&actor(), &["q".into()]).await.unwrap().len(), 1);

        store.delete_teams(&actor(), &["t".into()]).await.unwrap();
        assert_eq!(store.project("p").await.unwrap(), None);
        assert_eq!(store.key(&hash(1)).await.unwrap(), None);
    }
}

#[tokio::test]
async fn bounds_are_kept_with_their_row_or_not_at_all() {
    fn own(id: &str, max: f64) -> Option<OwnBudget> {
        let changes = BudgetChanges { max_budget: Change::Set(Some(max)), ..BudgetChanges::default() };
        Some(OwnBudget { new_id: id.to_owned(), changes })
    }
    for (_database, store) in stores().await {
        let customer = Customer { user_id: "c".into(), ..Customer::default() };
        let made = store.create_customer(&actor(), customer.clone(), own("b1", 1.0)).await.unwrap();
        assert_eq!(made.budget_id.as_deref(), Some("b1"));
        let taken = store.create_customer(&actor(), customer, own("b2", 2.0)).await.unwrap_err();
        assert!(matches!(taken, StoreError::Conflict { .. }), "{taken}");
        assert_eq!(store.budget("b2").await.unwrap(), None, "nothing is left of what was refused");

        let none = CustomerChanges::default;
        let changed = store.update_customer(&actor(), "c", none(), own("b3", 3.0)).await.unwrap();
        assert_eq!(changed.budget_id.as_deref(), Some("b1"), "it has one already");
        assert_eq!(store.budget("b1").await.unwrap().unwrap().max_budget, Some(3.0));
        let other = CustomerChanges { budget_id: Change::Set(Some("b4".into())), ..none() };
        let error = store.update_customer(&actor(), "c", other, None).await.unwrap_err();
        assert!(matches!(error, StoreError::NotFound { .. }), "{error}");
        let parted = CustomerChanges { budget_id: Change::Set(None), ..none() };
        let parted = store.update_customer(&actor(), "c", parted, own("b5", 5.0)).await.unwrap();
        assert_eq!(parted.budget_id.as_deref(), Some("b5"));
    }
}

#[tokio::test]
async fn teams_and_keys_name_the_access_groups_that_are_assigned_to_them() {
    for (_database, store) in stores().await {
        for id in ["t", "u"] {
            store.create_team(&actor(), Team { team_id: id.into(), ..Team::default() }, vec![]).await.unwrap();
        }
        store.create_key(&actor(), key(1)).await.unwrap();
        let group = AccessGroup {
            access_group_id: "g".into(),
            access_group_name: "G".into(),
            assigned_team_ids: vec!["t".into(), "gone".into()],
            assigned_key_ids: vec![hash(1).to_hex()],
            ..AccessGroup::default()
        };
        store.create_access_group(&actor(), group).await.unwrap();
        let of_team = async |id: &str| store.team(id).await.unwrap().unwrap().access_group_ids;
        let of_key = async || store.key(&hash(1)).await.unwrap().unwrap().access_group_ids;
        assert_eq!((of_team("t").await, of_key().await), (vec!["g".to_owned()], vec!["g".to_owned()]));

        let moved = AccessGroupChanges { assigned_team_ids: Change::Set(vec!["u".into()]), ..Default::default() };
        store.update_access_group(&actor(), "g", moved).await.unwrap();
        assert_eq!((of_team("t").await, of_team("u").await), (vec![], vec!["g".to_owned()]));

        // A team that names it by itself loses it, too.
        let by_itself = TeamChanges { access_group_ids: Change::Set(vec!["g".into()]), ..TeamChanges::default() };
        store.update_team(&actor(), "t", by_itself).await.unwrap();
        store.delete_access_group(&actor(), "g").await.unwrap().unwrap();
        assert_eq!((of_team("t").await, of_team("u").await, of_key().await), (vec![], vec![], vec![]));
    }
}

#[tokio::test]
async fn a_users_password_is_in_no_answer_and_no_log() {
    for (_database, store) in stores().await {
        let password = Some(Secret::new("hash of hunter2"));
        let kept = store.create_user(&actor(), User { password, ..user("u", None) }, vec![]).await.unwrap();
        assert_eq!(store.user("u").await.unwrap().unwrap().password.unwrap().expose(), Some("hash of hunter2"));
        let log = store.audit_log(&Default::default(), PageOf::new(1, 9)).await.unwrap();
        let said = format!("{kept:?} {} {log:?}", serde_json::to_string(&kept).unwrap());
        assert!(!said.contains("hunter2"), "{said}");
    }
}
