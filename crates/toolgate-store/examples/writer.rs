//! Makes keys without end and says the hash of each when it was acknowledged: `writer DATABASE`, where the database is a
//! file's path or a PostgreSQL URL. For the test that kills it.

use std::io::Write as _;

use toolgate_access::key::KeyHash;
use toolgate_store::{Actor, Database, Key, KeyRing, Store, StoreSettings};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let place = std::env::args().nth(1).ok_or_else(|| anyhow::anyhow!("usage: writer DATABASE"))?;
    let database =
        if place.starts_with("postgres") { Database::Postgres(place.into()) } else { Database::File(place.into()) };
    let store = Store::open(StoreSettings::new(database, KeyRing::new("a sealing key".into(), vec![]))).await?;
    let actor = Actor { changed_by: "writer".into(), ..Actor::default() };
    let process = std::process::id().to_be_bytes();
    for count in 0_u64.. {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&count.to_be_bytes());
        bytes[8..12].copy_from_slice(&process);
        let token = KeyHash::from(bytes).to_hex();
        store.create_key(&actor, Key { token: token.clone(), ..Key::default() }).await?;
        let mut out = std::io::stdout().lock();
        writeln!(out, "{token}")?;
        out.flush()?;
    }
    Ok(())
}
