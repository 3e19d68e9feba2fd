//! A change that somebody makes: rows, their audit entries and the revision that tells everybody, in one transaction.

use chrono::{DateTime, Utc};
use futures_util::future::BoxFuture;
use serde_json::{Map, Value};

use crate::audit::{self, Action, Head, Occurrence};
use crate::cell::{Arg, args};
use crate::db::Session;
use crate::noun::Noun;
use crate::revision::{self, Revision};
use crate::row::{ChangesOf, Row, column_list, id_is, object_id, sealed_args};
use crate::secret::Sealer;
use crate::{Store, StoreError};

/// On whose behalf something is changed, as the audit log says it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    /// The user's id, or what acted by itself, such as `import` or `budget reset`.
    pub changed_by: String,
    /// The hash of the key that was used; empty when none was.
    pub changed_by_api_key: String,
    /// The request's id, to find it in the logs; empty when there was none.
    pub request_id: String,
}

/// An open change. Its steps are boxed: rows are large, and a future that holds several of them is larger.
///
/// All changes wait for each other, over all replicas: the first thing that one does is to take the
/// next revision, whose row stays locked until its end. So whatever it reads is still true when it commits.
pub(crate) struct Edit<'s> {
    store: &'s Store,
    actor: &'s Actor,
    pub session: Session,
    pub now: DateTime<Utc>,
    revision: Revision,
    head: Head,
    touched: Vec<(Noun, String)>,
    /// The log has an entry of something that changed no row.
    recorded: bool,
}

impl Store {
    pub(crate) async fn edit<'s>(&'s self, actor: &'s Actor) -> Result<Edit<'s>, StoreError> {
        let mut session = self.db().write().await?;
        let (revision, head) = revision::next(&mut session).await?;
        Ok(Edit { store: self, actor, session, now: self.now(), revision, head, touched: Vec::new(), recorded: false })
    }

    pub(crate) async fn create<R: Row>(&self, actor: &Actor, row: R) -> Result<R, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let row = edit.insert(row).await?;
            edit.commit().await?;
            Ok(row)
        })
        .await
    }

    pub(crate) async fn change<R: Row>(
        &self,
        actor: &Actor,
        id: &[&str],
        changes: impl ChangesOf<R>,
    ) -> Result<R, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let row = edit.change(id, changes).await?;
            edit.commit().await?;
            Ok(row)
        })
        .await
    }

    /// Deletes a row and returns what it was; `None` when there was none.
    pub(crate) async fn remove<R: Row>(&self, actor: &Actor, id: &[&str]) -> Result<Option<R>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let Some(row) = edit.find::<R>(id).await? else { return Ok(None) };
            edit.delete(&row).await?;
            edit.commit().await?;
            Ok(Some(row))
        })
        .await
    }

    pub(crate) async fn get<R: Row>(&self, id: &[&str]) -> Result<Option<R>, StoreError> {
        self.db().read().await?.by_id(self.sealer(), id).await
    }
}

impl Edit<'_> {
    pub(crate) async fn find<R: Row>(&mut self, id: &[&str]) -> Result<Option<R>, StoreError> {
        // Spend is added to rows without taking a revision, hence the lock.
        let lock = self.session.dialect("", "FOR UPDATE");
        let args = id.iter().map(Arg::of).collect();
        let tail = format!("WHERE {} {lock}", id_is::<R>(1));
        Ok(self.select::<R>(&tail, args).await?.pop())
    }

    pub(crate) async fn select<R: Row>(&mut self, tail: &str, args: Vec<Arg>) -> Result<Vec<R>, StoreError> {
        self.session.select(self.store.sealer(), tail, args).await
    }

    pub(crate) async fn existing<R: Row>(&mut self, id: &[&str]) -> Result<R, StoreError> {
        self.find(id).await?.ok_or_else(|| StoreError::NotFound { what: R::NOUN.table(), id: id.join("/") })
    }

    /// Fails unless the row exists.
    pub(crate) async fn require<R: Row>(&mut self, id: Option<&String>) -> Result<(), StoreError> {
        match id {
            Some(id) => self.existing::<R>(&[id]).await.map(|_| ()),
            None => Ok(()),
        }
    }

    /// Fails when another row than the one with this id has the value. Since changes wait for each other, nobody takes
    /// it meanwhile.
    pub(crate) async fn require_free<R: Row>(
        &mut self,
        column: &'static str,
        value: Option<&String>,
        id: &str,
    ) -> Result<(), StoreError> {
        let Some(value) = value else { return Ok(()) };
        let sql = format!(
            "SELECT CAST(1 AS BIGINT) FROM {} WHERE {column} = $1 AND {} <> $2",
            R::NOUN.table(),
            R::COLUMNS[0].0
        );
        let taken = self.session.value::<i64>(sql, args![value.as_str(), id]).await?;
        if taken.is_some() { Err(StoreError::Conflict { what: column.to_owned() }) } else { Ok(()) }
    }

    /// The same for a user's e-mail address, in whatever case it is written.
    pub(crate) async fn require_free_email(&mut self, user: &crate::User) -> Result<(), StoreError> {
        let Some(email) = &user.user_email else { return Ok(()) };
        let sql = "SELECT user_id FROM users WHERE LOWER(user_email) = LOWER($1) AND user_id <> $2";
        match self.session.value::<String>(sql, args![*email, user.user_id]).await? {
            Some(_) => Err(StoreError::Conflict { what: "user_email".into() }),
            None => Ok(()),
        }
    }

    pub(crate) fn insert<R: Row>(&mut self, mut row: R) -> BoxFuture<'_, Result<R, StoreError>> {
        row.stamp_created(self.now, &self.actor.changed_by);
        self.adopt(row)
    }

    /// Inserts a row from elsewhere, which keeps its stamps.
    pub(crate) fn adopt<R: Row>(&mut self, row: R) -> BoxFuture<'_, Result<R, StoreError>> {
        Box::pin(async move {
            let args = sealed_args(&row, self.store.sealer())?;
            let places: Vec<String> = (1..=args.len()).map(|at| format!("${at}")).collect();
            let sql =
                format!("INSERT INTO {} ({}) VALUES ({})", R::NOUN.table(), column_list::<R>(""), places.join(", "));
            self.session.execute(sql, args).await.map_err(|error| match error {
                StoreError::Conflict { what } if what == "id" => {
                    StoreError::Conflict { what: R::COLUMNS[0].0.to_owned() }
                }
                error => error,
            })?;
            self.log(R::NOUN, object_id(&row), Action::Created, None, Some(full(&row))).await?;
            Ok(row)
        })
    }

    /// Inserts the row, or puts it in the place of the one with its id.
    pub(crate) async fn upsert<R: Row>(&mut self, mut row: R) -> Result<R, StoreError> {
        let cells = row.cells();
        let id: Vec<&str> = cells[..R::IDS].iter().map(text_of).collect();
        let Some(before) = self.find::<R>(&id).await? else { return self.insert(row).await };
        row.stamp_like(&before);
        self.write(&before, row).await
    }

    pub(crate) async fn change<R: Row>(&mut self, id: &[&str], changes: impl ChangesOf<R>) -> Result<R, StoreError> {
        let before = self.existing::<R>(id).await?;
        let mut after = before.clone();
        changes.apply(&mut after);
        self.write(&before, after).await
    }

    /// Writes the columns that differ, so that what cannot be read (a secret whose key is lost) is not overwritten.
    pub(crate) fn write<'a, R: Row>(&'a mut self, before: &'a R, mut after: R) -> BoxFuture<'a, Result<R, StoreError>> {
        Box::pin(async move {
            if after == *before {
                return Ok(after);
            }
            after.stamp_updated(self.now, &self.actor.changed_by);
            let differs: Vec<bool> = before.cells().iter().zip(after.cells()).map(|(old, new)| *old != new).collect();
            let first = R::IDS + 2;
            let (mut names, mut values) = (Vec::new(), Vec::new());
            for (at, arg) in
                changed_args(&after, &differs, self.store.sealer())?.into_iter().filter(|(at, _)| *at >= first)
            {
                names.push(format!("{} = ${}", R::COLUMNS[at].0, names.len() + 1));
                values.push(arg);
            }
            let sql =
                format!("UPDATE {} SET {} WHERE {}", R::NOUN.table(), names.join(", "), id_is::<R>(names.len() + 1));
            values.extend(
                after.cells()[..R::IDS].iter().map(|cell| Arg { kind: crate::cell::Kind::Text, cell: cell.clone() }),
            );
            self.session.execute(sql, values).await?;
            let (old, new) = difference(before, &after);
            self.log(R::NOUN, object_id(&after), Action::Updated, Some(old), Some(new)).await?;
            Ok(after)
        })
    }

    pub(crate) async fn delete<R: Row>(&mut self, row: &R) -> Result<(), StoreError> {
        let cells = row.cells();
        let id = cells[..R::IDS].iter().map(|cell| Arg::of(&text_of(cell))).collect();
        self.session.execute(format!("DELETE FROM {} WHERE {}", R::NOUN.table(), id_is::<R>(1)), id).await?;
        self.log(R::NOUN, object_id(row), Action::Deleted, Some(full(row)), None).await
    }

    /// Deletes all rows that a condition picks, each with its audit entry.
    pub(crate) async fn delete_where<R: Row>(&mut self, condition: &str, args: Vec<Arg>) -> Result<Vec<R>, StoreError> {
        let rows = self.select::<R>(condition, args).await?;
        for row in &rows {
            self.delete(row).await?;
        }
        Ok(rows)
    }

    pub(crate) async fn log(
        &mut self,
        noun: Noun,
        id: String,
        action: Action,
        before: Option<Value>,
        after: Option<Value>,
    ) -> Result<(), StoreError> {
        let entry =
            audit::Draft { at: self.now, actor: self.actor, action, table: noun.table(), id: &id, before, after };
        audit::append(&mut self.session, &mut self.head, entry).await?;
        self.touch(noun, id);
        Ok(())
    }

    /// Writes an entry for something that changed no row: no cache has to hear of it.
    pub(crate) async fn record(&mut self, occurrence: Occurrence<'_>) -> Result<(), StoreError> {
        let Occurrence { noun, object_id, action, values } = occurrence;
        let (at, actor, table) = (self.now, self.actor, noun.table());
        let entry = audit::Draft { at, actor, action, table, id: object_id, before: None, after: values };
        audit::append(&mut self.session, &mut self.head, entry).await?;
        self.recorded = true;
        Ok(())
    }

    /// Tells caches that something changed, without an audit entry.
    pub(crate) fn touch(&mut self, noun: Noun, id: String) {
        self.touched.push((noun, id));
    }

    /// Makes the change last and known. Without a change, the revision stays.
    pub(crate) async fn commit(mut self) -> Result<(), StoreError> {
        if self.touched.is_empty() && !self.recorded {
            return Ok(());
        }
        revision::note(&mut self.session, self.revision, &self.head, &self.touched, self.now).await?;
        self.session.commit().await?;
        self.store.announce(self.revision);
        Ok(())
    }
}

fn changed_args<R: Row>(row: &R, differs: &[bool], sealer: &Sealer) -> Result<Vec<(usize, Arg)>, StoreError> {
    crate::row::sealed_args_where(row, sealer, |at| differs.get(at).copied().unwrap_or(false))
}

pub(crate) fn text_of(cell: &crate::cell::Cell) -> &str {
    match cell {
        crate::cell::Cell::Text(text) => text,
        _ => "",
    }
}

fn full<R: Row>(row: &R) -> Value {
    serde_json::to_value(row).unwrap_or(Value::Null)
}

/// The columns that differ, before and after. A secret that changed shows only that it did.
fn difference<R: Row>(before: &R, after: &R) -> (Value, Value) {
    let (Value::Object(old), Value::Object(new)) = (full(before), full(after)) else {
        return (Value::Null, Value::Null);
    };
    let (old_cells, new_cells) = (before.cells(), after.cells());
    let (mut was, mut is) = (Map::new(), Map::new());
    for (at, (column, _)) in R::COLUMNS.iter().enumerate() {
        if old_cells[at] != new_cells[at] {
            was.insert((*column).to_owned(), old.get(*column).cloned().unwrap_or(Value::Null));
            is.insert((*column).to_owned(), new.get(*column).cloned().unwrap_or(Value::Null));
        }
    }
    (Value::Object(was), Value::Object(is))
}
