//! Databases in memory, and what tests put into them before the gateway can.

use toolgate_access::key::VirtualKey;
use toolgate_store::{Actor, Database, Key, KeyRing, Store, StoreSettings};

/// An empty database of the test's own.
pub(crate) async fn memory() -> Store {
    let keys = KeyRing::new("a sealing key of a test".to_owned().into(), Vec::new());
    Store::open(StoreSettings::new(Database::Memory, keys)).await.unwrap()
}

/// Keeps `key` in the database with the fields of `row`.
pub(crate) async fn key_of(store: &Store, key: &str, row: Key) -> Key {
    let token = VirtualKey::parse(key).unwrap().hash().to_hex();
    store.create_key(&Actor::default(), Key { token, ..row }).await.unwrap()
}
