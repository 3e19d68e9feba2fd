//! A known text, sealed with each key in use: a start with the wrong key is noticed before it writes anything.

use crate::StoreError;
use crate::cell::{Cell, Kind, args};
use crate::db::{Database, Session};
use crate::secret::{Place, Sealer, Secret};

const TEXT: &str = "toolgate";

fn place(key_id: &str) -> Place<'_> {
    Place { table: "canaries", column: "sealed", row: key_id }
}

/// # Errors
/// [`StoreError::WrongKey`] when the database was written with keys of which the ring has none.
pub(crate) async fn check(db: &Database, sealer: &Sealer) -> Result<(), StoreError> {
    check_in(&mut db.read().await?, sealer).await.map(|_| ())
}

/// Whether there is a canary of the primary key.
async fn check_in(session: &mut Session, sealer: &Sealer) -> Result<bool, StoreError> {
    let rows = session.rows("SELECT key_id, sealed FROM canaries", args![], vec![Kind::Text, Kind::Text]).await?;
    let mut opened = Vec::new();
    for row in &rows {
        let [Cell::Text(key_id), Cell::Text(sealed)] = row.as_slice() else {
            return Err(StoreError::corrupt("canaries"));
        };
        if sealer.open(sealed, place(key_id)) == Secret::new(TEXT) {
            opened.push(key_id.as_str());
        }
    }
    if opened.is_empty() && !rows.is_empty() {
        return Err(StoreError::WrongKey);
    }
    Ok(opened.contains(&sealer.primary_id()))
}

/// Puts the primary key's canary where it is missing.
pub(crate) async fn set(db: &Database, sealer: &Sealer) -> Result<(), StoreError> {
    if check_in(&mut db.read().await?, sealer).await? {
        return Ok(());
    }
    let mut session = db.write().await?;
    // The row is locked by every change, so two that open at once with different keys cannot both be the first.
    session.execute("UPDATE gateway_state SET revision = revision WHERE id = 1", args![]).await?;
    if !check_in(&mut session, sealer).await? {
        let key_id = sealer.primary_id();
        let sql = "INSERT INTO canaries (key_id, sealed) VALUES ($1, $2) ON CONFLICT (key_id) DO NOTHING";
        session.execute(sql, args![key_id, sealer.seal(TEXT, place(key_id))?]).await?;
    }
    session.commit().await
}

/// Forgets the canaries of keys that nothing is sealed with any more.
pub(crate) async fn keep_only_primary(session: &mut Session, sealer: &Sealer) -> Result<(), StoreError> {
    session.execute("DELETE FROM canaries WHERE key_id <> $1", args![sealer.primary_id()]).await.map(|_| ())
}
