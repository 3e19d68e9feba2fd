//! The audit log: every change that somebody made, chained by hashes so that a row that was changed, removed, inserted or
//! moved is found.
//!
//! A row's hash covers the hash before it, its own fields, and the hashes of the values before and after. The values
//! themselves can be dropped for retention without breaking the chain.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;

use crate::cell::{Cells, Kind, args};
use crate::db::Session;
use crate::edit::Actor;
use crate::page::{Page, PageOf};
use crate::query::Where;
use crate::secret::sha256_hex;
use crate::{Direction, Noun, Store, StoreError};

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A row was made.
    Created,
    /// A row was changed.
    Updated,
    /// A row was deleted.
    Deleted,
    /// A key was blocked or unblocked.
    Blocked,
    /// A key got a new value.
    Rotated,
    /// Somebody signed in.
    SignedIn,
    /// Somebody tried to sign in and failed.
    SignInFailed,
}

impl Action {
    /// As it is written in the log, LiteLLM's words where it has them.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
            Self::Blocked => "blocked",
            Self::Rotated => "rotated",
            Self::SignedIn => "signed_in",
            Self::SignInFailed => "sign_in_failed",
        }
    }
}

/// Where the chain ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The last row's number; 0 when there is none.
    pub seq: i64,
    /// The last row's hash; empty when there is none.
    pub hash: String,
}

/// A row of the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Counts from 1.
    pub seq: i64,
    /// When it was done.
    pub updated_at: DateTime<Utc>,
    /// Who did it.
    pub changed_by: String,
    /// The hash of the key that was used.
    pub changed_by_api_key: String,
    /// The request in which it was done.
    pub request_id: String,
    /// What was done, as [`Action::as_str`] says it.
    pub action: String,
    /// The table of the row.
    pub table_name: String,
    /// The row's id.
    pub object_id: String,
    /// The row, or its columns that changed, before. JSON; absent when there was none or it was dropped for retention.
    pub before_value: Option<Value>,
    /// The same after.
    pub updated_values: Option<Value>,
    /// The hash of this row.
    pub hash: String,
}

/// Which rows of the log.
#[derive(Debug, Clone, Default)]
pub struct AuditFilter {
    /// By one who did it.
    pub changed_by: Option<String>,
    /// With one key.
    pub changed_by_api_key: Option<String>,
    /// Of one kind, in the log's words.
    pub action: Option<String>,
    /// On one table.
    pub table_name: Option<String>,
    /// On one row.
    pub object_id: Option<String>,
    /// Not before.
    pub since: Option<DateTime<Utc>>,
    /// Before.
    pub until: Option<DateTime<Utc>>,
    /// On one team, or on a row that says that it is of this team.
    pub team_id: Option<String>,
    /// On one key, by its hash.
    pub key_hash: Option<String>,
    /// The latest first, unless said otherwise.
    pub direction: Direction,
}

/// Something that was done and changed no row.
#[derive(Debug, Clone)]
pub struct Occurrence<'a> {
    /// What it was done to.
    pub noun: Noun,
    /// That one's id, or whatever else tells it.
    pub object_id: &'a str,
    /// What was done.
    pub action: Action,
    /// What else there is to say.
    pub values: Option<Value>,
}

/// What a check of the whole log found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Every row is as it was written.
    Whole {
        /// The end of the log.
        head: Head,
    },
    /// The first row that is not, or the number at which one is missing.
    Broken {
        /// Its number.
        seq: i64,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// An entry about to be written.
pub(crate) struct Draft<'a> {
    pub at: DateTime<Utc>,
    pub actor: &'a Actor,
    pub action: Action,
    pub table: &'a str,
    pub id: &'a str,
    pub before: Option<Value>,
    pub after: Option<Value>,
}

/// How many rows are checked at a time.
const STRIDE: i64 = 1_000;

const COLUMNS: &str = "seq, updated_at, changed_by, changed_by_api_key, request_id, action, table_name, object_id, \
                       before_value, updated_values, before_hash, after_hash, prev_hash, hash";
const KINDS: [Kind; 14] = [
    Kind::Int,
    Kind::Time,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
    Kind::Text,
];

/// A row as it is kept: values as the text that was hashed.
struct Kept {
    seq: i64,
    updated_at: DateTime<Utc>,
    changed_by: String,
    changed_by_api_key: String,
    request_id: String,
    action: String,
    table_name: String,
    object_id: String,
    before_value: Option<String>,
    updated_values: Option<String>,
    before_hash: String,
    after_hash: String,
    prev_hash: String,
    hash: String,
}

impl Kept {
    fn read(mut cells: Cells) -> Result<Self, StoreError> {
        Ok(Self {
            seq: cells.take("seq")?,
            updated_at: cells.take("updated_at")?,
            changed_by: cells.take("changed_by")?,
            changed_by_api_key: cells.take("changed_by_api_key")?,
            request_id: cells.take("request_id")?,
            action: cells.take("action")?,
            table_name: cells.take("table_name")?,
            object_id: cells.take("object_id")?,
            before_value: cells.take("before_value")?,
            updated_values: cells.take("updated_values")?,
            before_hash: cells.take("before_hash")?,
            after_hash: cells.take("after_hash")?,
            prev_hash: cells.take("prev_hash")?,
            hash: cells.take("hash")?,
        })
    }

    /// No field contains a NUL, which the store refuses, so no two rows have the same text.
    fn expected_hash(&self) -> String {
        let fields = [
            &self.prev_hash,
            &self.seq.to_string(),
            &self.updated_at.timestamp_micros().to_string(),
            &self.changed_by,
            &self.changed_by_api_key,
            &self.request_id,
            &self.action,
            &self.table_name,
            &self.object_id,
            &self.before_hash,
            &self.after_hash,
        ];
        sha256_hex(fields.map(String::as_str).join("\0").as_bytes())
    }

    /// What is wrong with this row, if the chain before it ended in `head`.
    fn fault(&self, head: &Head) -> Option<&'static str> {
        let as_hashed = |value: &Option<String>, hash: &str| value.as_ref().is_none_or(|text| hash_of(text) == hash);
        if self.prev_hash != head.hash {
            Some("does not follow the row before it")
        } else if self.hash != self.expected_hash() {
            Some("was changed")
        } else if !as_hashed(&self.before_value, &self.before_hash) {
            Some("the value before was changed")
        } else if !as_hashed(&self.updated_values, &self.after_hash) {
            Some("the value after was changed")
        } else {
            None
        }
    }

    fn entry(self) -> AuditEntry {
        // What was damaged is shown as it is: the log is read to find out.
        let parse = |text: String| serde_json::from_str(&text).unwrap_or(Value::String(text));
        AuditEntry {
            seq: self.seq,
            updated_at: self.updated_at,
            changed_by: self.changed_by,
            changed_by_api_key: self.changed_by_api_key,
            request_id: self.request_id,
            action: self.action,
            table_name: self.table_name,
            object_id: self.object_id,
            before_value: self.before_value.map(parse),
            updated_values: self.updated_values.map(parse),
            hash: self.hash,
        }
    }
}

fn hash_of(text: &str) -> String {
    sha256_hex(text.as_bytes())
}

/// Writes the next row and moves the head.
pub(crate) async fn append(session: &mut Session, head: &mut Head, draft: Draft<'_>) -> Result<(), StoreError> {
    use chrono::SubsecRound as _;
    let text = |value: Option<Value>| value.map(|value| value.to_string());
    let (before_value, updated_values) = (text(draft.before), text(draft.after));
    let hash = |value: &Option<String>| value.as_deref().map(hash_of).unwrap_or_default();
    let mut row = Kept {
        seq: head.seq + 1,
        updated_at: draft.at.trunc_subsecs(6),
        changed_by: draft.actor.changed_by.clone(),
        changed_by_api_key: draft.actor.changed_by_api_key.clone(),
        request_id: draft.actor.request_id.clone(),
        action: draft.action.as_str().to_owned(),
        table_name: draft.table.to_owned(),
        object_id: draft.id.to_owned(),
        before_hash: hash(&before_value),
        after_hash: hash(&updated_values),
        before_value,
        updated_values,
        prev_hash: head.hash.clone(),
        hash: String::new(),
    };
    row.hash = row.expected_hash();
    let sql = format!(
        "INSERT INTO audit_log ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)"
    );
    let args = args![
        row.seq,
        row.updated_at,
        row.changed_by,
        row.changed_by_api_key,
        row.request_id,
        row.action,
        row.table_name,
        row.object_id,
        row.before_value,
        row.updated_values,
        row.before_hash,
        row.after_hash,
        row.prev_hash,
        row.hash,
    ];
    session.execute(sql, args).await?;
    *head = Head { seq: row.seq, hash: row.hash };
    Ok(())
}

impl Store {
    /// Writes an entry for something that changed no row, such as a sign-in.
    pub async fn audit(&self, actor: &Actor, occurrence: Occurrence<'_>) -> Result<(), StoreError> {
        let mut edit = self.edit(actor).await?;
        edit.record(occurrence).await?;
        edit.commit().await
    }

    /// The row of the log with this number.
    pub async fn audit_entry(&self, seq: i64) -> Result<Option<AuditEntry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit_log WHERE seq = $1");
        let rows = self.db().read().await?.rows(sql, args![seq], KINDS.to_vec()).await?;
        let row = rows.into_iter().next().map(|cells| Kept::read(Cells::new("audit_log", cells)));
        Ok(row.transpose()?.map(Kept::entry))
    }

    /// The log.
    pub async fn audit_log(&self, filter: &AuditFilter, page: PageOf) -> Result<Page<AuditEntry>, StoreError> {
        let mut session = self.db().read().await?;
        let mut conditions = Where::new(&session);
        conditions.equals("changed_by", filter.changed_by.as_ref());
        conditions.equals("changed_by_api_key", filter.changed_by_api_key.as_ref());
        conditions.equals("action", filter.action.as_ref());
        conditions.equals("table_name", filter.table_name.as_ref());
        conditions.equals("object_id", filter.object_id.as_ref());
        conditions.at_least("updated_at", filter.since.as_ref());
        conditions.less_than("updated_at", filter.until.as_ref());
        if let Some(hash) = &filter.key_hash {
            conditions.equals("table_name", Some(&Noun::Key.table().to_owned()));
            conditions.equals("object_id", Some(hash));
        }
        if let Some(team_id) = &filter.team_id {
            // As it stands in the text of a value, which is written without blanks.
            let named = format!("\"team_id\":{}", Value::String(team_id.clone()));
            conditions.equals_or_mentions("object_id", team_id, &["before_value", "updated_values"], &named);
        }
        let order = match filter.direction {
            Direction::Ascending => "seq ASC",
            Direction::Descending => "seq DESC",
        };
        let (rows, total) = conditions.page(&mut session, "audit_log", COLUMNS, &KINDS, order, page).await?;
        let read = |cells| Kept::read(Cells::new("audit_log", cells)).map(Kept::entry);
        Ok(Page { items: rows.into_iter().map(read).collect::<Result<_, _>>()?, total, page })
    }

    /// Where the log ends now. Kept elsewhere, it shows later whether the end was cut off.
    pub async fn audit_head(&self) -> Result<Head, StoreError> {
        head(&mut self.db().read().await?).await
    }

    /// Checks the whole log, and that it still contains `checkpoint`, an earlier [`Store::audit_head`].
    pub async fn audit_verify(&self, checkpoint: Option<&Head>) -> Result<Verdict, StoreError> {
        // Read first: rows that are written meanwhile come after it.
        let end = self.audit_head().await?;
        let mut head = Head { seq: 0, hash: String::new() };
        loop {
            let rows = self.audit_rows_after(head.seq).await?;
            if rows.is_empty() {
                break;
            }
            for row in rows {
                if row.seq != head.seq + 1 {
                    return Ok(Verdict::Broken { seq: head.seq + 1, why: "is missing" });
                }
                if let Some(why) = row.fault(&head) {
                    return Ok(Verdict::Broken { seq: row.seq, why });
                }
                head = Head { seq: row.seq, hash: row.hash };
                for known in [Some(&end), checkpoint].into_iter().flatten() {
                    if known.seq == head.seq && known.hash != head.hash {
                        return Ok(Verdict::Broken { seq: head.seq, why: "is not the row that was there before" });
                    }
                }
            }
        }
        let expected = end.seq.max(checkpoint.map_or(0, |head| head.seq));
        if head.seq < expected {
            return Ok(Verdict::Broken { seq: head.seq + 1, why: "is missing" });
        }
        Ok(Verdict::Whole { head })
    }

    async fn audit_rows_after(&self, seq: i64) -> Result<Vec<Kept>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM audit_log WHERE seq > $1 ORDER BY seq LIMIT $2");
        let rows = self.db().read().await?.rows(sql, args![seq, STRIDE], KINDS.to_vec()).await?;
        rows.into_iter().map(|cells| Kept::read(Cells::new("audit_log", cells))).collect()
    }

    /// Drops the values of entries from before `before`; the rows stay and the chain holds. Returns how many.
    pub async fn audit_drop_values(&self, before: DateTime<Utc>) -> Result<u64, StoreError> {
        let sql = "UPDATE audit_log SET before_value = NULL, updated_values = NULL WHERE updated_at < $1 \
                   AND (before_value IS NOT NULL OR updated_values IS NOT NULL)";
        let mut session = self.db().write().await?;
        let dropped = session.execute(sql, args![before]).await?;
        session.commit().await?;
        Ok(dropped)
    }
}

async fn head(session: &mut Session) -> Result<Head, StoreError> {
    let sql = "SELECT audit_seq, audit_hash FROM gateway_state WHERE id = 1";
    let rows = session.rows(sql, args![], vec![Kind::Int, Kind::Text]).await?;
    let mut cells = Cells::new("gateway_state", rows.into_iter().next().unwrap_or_default());
    Ok(Head { seq: cells.take("audit_seq")?, hash: cells.take("audit_hash")? })
}
