//! Sealing everything anew under the primary key, so that an old key can be thrown away.

use std::collections::BTreeMap;

use crate::canary;
use crate::cell::{Cell, Kind, args};
use crate::row::{Row, id_is, id_text};
use crate::secret::Place;
use crate::{Noun, Server, ServerOauthClient, Store, StoreError, User, UserCredential, UserEnvVars};

/// Rows of one transaction: others wait no longer than that.
const AT_ONCE: i64 = 100;

/// What sealing anew has done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rekeyed {
    /// How many values were sealed anew.
    pub resealed: u64,
    /// Values whose key is not in the ring, or which were moved; they are as they were.
    pub unreadable: Vec<SealedPlace>,
}

/// Where a sealed value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedPlace {
    /// Its table.
    pub noun: Noun,
    /// Its row.
    pub object_id: String,
    /// Its column.
    pub column: &'static str,
}

impl Store {
    /// Seals everything anew that is not under the primary key, a few rows at a time, while the store is in use. It may
    /// be broken off and begun again. When nothing unreadable is left, the old keys' canaries go: from then on, only the
    /// primary key opens this database.
    pub async fn rekey(&self) -> Result<Rekeyed, StoreError> {
        let mut done = Rekeyed::default();
        self.rekey_table::<Server>(&mut done).await?;
        self.rekey_table::<ServerOauthClient>(&mut done).await?;
        self.rekey_table::<UserCredential>(&mut done).await?;
        self.rekey_table::<UserEnvVars>(&mut done).await?;
        self.rekey_table::<User>(&mut done).await?;
        if done.unreadable.is_empty() {
            let mut session = self.db().write().await?;
            canary::keep_only_primary(&mut session, self.sealer()).await?;
            session.commit().await?;
        }
        Ok(done)
    }

    /// How many values are sealed with each key, by key id; the primary's is [`Store::primary_key_id`].
    pub async fn sealed_by_key(&self) -> Result<BTreeMap<String, i64>, StoreError> {
        let mut counts = BTreeMap::new();
        self.count_table::<Server>(&mut counts).await?;
        self.count_table::<ServerOauthClient>(&mut counts).await?;
        self.count_table::<UserCredential>(&mut counts).await?;
        self.count_table::<UserEnvVars>(&mut counts).await?;
        self.count_table::<User>(&mut counts).await?;
        Ok(counts)
    }

    /// The id of the key that new values are sealed with.
    pub fn primary_key_id(&self) -> &str {
        self.sealer().primary_id()
    }

    async fn count_table<R: Row>(&self, counts: &mut BTreeMap<String, i64>) -> Result<(), StoreError> {
        let mut session = self.db().read().await?;
        for column in sealed_columns::<R>() {
            // After the version: `v1:{key id of twelve digits}:`.
            let sql = format!(
                "SELECT SUBSTR({column}, 4, 12), COUNT(*) FROM {} WHERE {column} IS NOT NULL GROUP BY 1",
                R::NOUN.table()
            );
            for row in session.rows(sql, args![], vec![Kind::Text, Kind::Int]).await? {
                if let Ok([Cell::Text(key_id), Cell::Int(count)]) = <[Cell; 2]>::try_from(row) {
                    *counts.entry(key_id).or_default() += count;
                }
            }
        }
        Ok(())
    }

    async fn rekey_table<R: Row>(&self, done: &mut Rekeyed) -> Result<(), StoreError> {
        for column in sealed_columns::<R>() {
            // What cannot be read stays among the rows to be done, in front.
            let mut skipped = 0;
            loop {
                let (seen, unreadable) = self.rekey_some::<R>(column, skipped, done).await?;
                skipped += unreadable;
                if seen < AT_ONCE {
                    break;
                }
            }
        }
        Ok(())
    }

    /// How many rows were looked at, and how many of them cannot be read.
    async fn rekey_some<R: Row>(
        &self,
        column: &'static str,
        skip: i64,
        done: &mut Rekeyed,
    ) -> Result<(i64, i64), StoreError> {
        let ids: Vec<&str> = R::COLUMNS[..R::IDS].iter().map(|(name, _)| *name).collect();
        let (ids, table) = (ids.join(", "), R::NOUN.table());
        let mut session = self.db().write().await?;
        let lock = session.dialect("", "FOR UPDATE");
        let sql = format!(
            "SELECT {column}, {ids} FROM {table} WHERE {column} IS NOT NULL AND {column} NOT LIKE $1 \
             ORDER BY {ids} LIMIT $2 OFFSET $3 {lock}"
        );
        let current = format!("v1:{}:%", self.sealer().primary_id());
        let rows = session.rows(sql, args![current, AT_ONCE, skip], vec![Kind::Text; R::IDS + 1]).await?;
        let (seen, mut unreadable) = (i64::try_from(rows.len()).unwrap_or(i64::MAX), 0);
        for mut row in rows {
            let id = row.split_off(1);
            let Some(Cell::Text(sealed)) = row.pop() else { continue };
            let object_id = id_text(&id);
            let place = Place { table, column, row: &object_id };
            let Some(text) = self.sealer().open(&sealed, place).into_text() else {
                unreadable += 1;
                done.unreadable.push(SealedPlace { noun: R::NOUN, object_id, column });
                continue;
            };
            let sql = format!("UPDATE {table} SET {column} = $1 WHERE {}", id_is::<R>(2));
            let mut values = args![self.sealer().seal(&text, place)?];
            values.extend(id.into_iter().map(|cell| crate::cell::Arg { kind: Kind::Text, cell }));
            session.execute(sql, values).await?;
            done.resealed += 1;
        }
        session.commit().await?;
        Ok((seen, unreadable))
    }
}

fn sealed_columns<R: Row>() -> impl Iterator<Item = &'static str> {
    R::COLUMNS.iter().filter(|(_, kind)| *kind == Kind::Sealed).map(|(name, _)| *name)
}
