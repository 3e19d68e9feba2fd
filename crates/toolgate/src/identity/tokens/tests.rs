use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use toolgate_store::{Actor, Database, KeyRing, Store, StoreSettings, User};

use super::{Good, Named};
use crate::accounting::Accounting;
use crate::auth::CallerId;
use crate::config::settings::SpendSettings;
use crate::config::settings::jwt::JwtSettings;
use crate::identity::{DatabaseState, Identity};
use crate::telemetry::Metrics;
use crate::upstream::testing::settings;

fn jwt() -> JwtSettings {
    JwtSettings {
        issuers: Vec::new(),
        admin_scope: "admin".to_owned(),
        user_id_upsert: false,
        email_domain: None,
        allowed_roles: None,
        role_mappings: None,
        object_id: None,
        team_default: None,
        client_id: None,
        admin_routes: Vec::new(),
        other_routes: Vec::new(),
        keys_for: Duration::ZERO,
        stale_for: Duration::ZERO,
    }
}

#[tokio::test]
async fn rows_that_a_token_names_are_relied_on_without_the_database_for_no_longer_than_those_of_keys() {
    let store = StoreSettings::new(Database::Memory, KeyRing::new("key".into(), vec![]));
    let store = Store::open(store).await.unwrap();
    let user = User { user_id: "alice".into(), ..User::default() };
    store.create_user(&Actor::default(), user, Vec::new()).await.unwrap();
    let accounting = Accounting::new(SpendSettings::default(), None, &Metrics::new());
    let identity = Identity::new(&settings(Vec::new()), Some(store), &accounting);
    let good = Good {
        id: CallerId::of_token(&["issuer", "alice"]),
        named: Named { user: Some("alice".to_owned()), ..Named::default() },
        customer: None,
        client: None,
        expires: i64::MAX,
        settings: Arc::new(jwt()),
    };
    identity.tokens.signed_in(&good).await;
    assert!(identity.bearer_again(&good.id, None, Utc::now()).await.is_some(), "an open stream goes on");

    identity.keys.lose();
    assert_eq!(identity.database(), DatabaseState::Gone);
    assert!(identity.bearer_again(&good.id, None, Utc::now()).await.is_none(), "and ends when nothing can be known");
}
