//! Copies what people entrusted to LiteLLM: keys by their hashes, so that nobody's key changes, and everything that
//! hangs on them.
//!
//! LiteLLM's database is read as it was at one moment and never written. A row that is here already stays as it is, so
//! an import can be run again after it was broken off, or after LiteLLM has gone on being used.

mod rows;
mod source;
mod unseal;

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use secrecy::SecretString;
use serde_json::{Map, Value};

use crate::row::{Row, object_id};
use crate::{
    AccessGroup, Actor, Noun, Organization, Server, ServerOauthClient, Store, StoreError, Team, Toolset, User,
};
use rows::{Beside, Outcome, Read};
use source::{PAGE, Source, TIME, text};
use unseal::Unsealer;

/// Rows that are told of one by one, of each table.
const TOLD: usize = 1_000;

/// A LiteLLM database.
#[derive(Debug, Clone)]
pub struct LitellmDatabase {
    /// PostgreSQL, as `DATABASE_URL` of LiteLLM names it.
    pub url: SecretString,
    /// `LITELLM_SALT_KEY` of LiteLLM; where it had none, its master key.
    pub salt_key: SecretString,
}

/// How to import.
#[derive(Debug, Clone, Copy, Default)]
pub struct ImportOptions {
    /// Write nothing, and say what would come.
    pub dry_run: bool,
    /// Leave out the secrets that the salt key does not open, though it opens none.
    pub without_secrets: bool,
}

/// What came of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Import {
    /// By the name of our table, in the order in which they were copied.
    pub tables: Vec<ImportedTable>,
    /// Sealed values that were opened, and those that were not.
    pub secrets: (u64, u64),
}

/// What came of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportedTable {
    /// Our table.
    pub noun: Noun,
    /// Rows that were copied, or would be.
    pub copied: u64,
    /// Rows that are here already.
    pub present: u64,
    /// How many rows were left out.
    pub left_out: u64,
    /// Which, and why; no more than a thousand.
    pub skipped: Vec<Skipped>,
    /// Rows that were copied without something of them; no more than a thousand.
    pub incomplete: Vec<Skipped>,
}

/// A row that was left out, or something of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Skipped {
    /// The row's id.
    pub id: String,
    /// Why.
    pub why: String,
}

/// Why nothing was imported, or not all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ImportError {
    /// LiteLLM's database could not be read.
    #[error("LiteLLM's database: {0}")]
    Source(#[source] StoreError),
    /// There is no LiteLLM there.
    #[error("this is no database of LiteLLM: it has no table `LiteLLM_VerificationToken`")]
    NotLitellm,
    /// The salt key opens nothing. Nothing was written.
    #[error("the salt key opens none of the {sealed} sealed values in LiteLLM's database")]
    WrongSaltKey {
        /// How many values are sealed.
        sealed: u64,
    },
    /// Our own database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An import that is under way.
struct Importer<'s> {
    store: &'s Store,
    actor: Actor,
    source: Source,
    beside: Beside,
    dry_run: bool,
    done: Import,
}

impl Store {
    /// Copies from LiteLLM's database what is not here yet.
    ///
    /// # Errors
    /// [`ImportError`]. But for [`ImportError::Store`] and a source that fails half-way, nothing was written.
    pub async fn import_litellm(
        &self,
        database: &LitellmDatabase,
        options: ImportOptions,
    ) -> Result<Import, ImportError> {
        let mut source = Source::open(&database.url, Duration::from_secs(10)).await.map_err(ImportError::Source)?;
        if !source.has("LiteLLM_VerificationToken").await.map_err(ImportError::Source)? {
            return Err(ImportError::NotLitellm);
        }
        let unsealer = Unsealer::new(&database.salt_key)?;
        let beside = Beside::read(&mut source, unsealer, self.now()).await.map_err(ImportError::Source)?;
        let actor = Actor { changed_by: "import".to_owned(), ..Actor::default() };
        let dry_run = options.dry_run;
        let mut importer = Importer { store: self, actor, source, beside, dry_run, done: Import::default() };
        let (opened, unreadable) = importer.try_secrets().await?;
        if opened == 0 && unreadable > 0 && !options.without_secrets {
            return Err(ImportError::WrongSaltKey { sealed: unreadable });
        }
        Box::pin(importer.all()).await?;
        importer.done.secrets = (opened, unreadable);
        Ok(importer.done)
    }
}

impl Beside {
    async fn read(
        source: &mut Source,
        unsealer: Unsealer,
        now: chrono::DateTime<chrono::Utc>,
    ) -> Result<Self, StoreError> {
        let mut permissions = HashMap::new();
        for row in source.all("LiteLLM_ObjectPermissionTable", "object_permission_id").await? {
            if let Some(id) = text(&row, "object_permission_id") {
                permissions.insert(id, row);
            }
        }
        let mut model_aliases = HashMap::new();
        for row in source.all("LiteLLM_ModelTable", "id").await? {
            if let (Some(id), Some(aliases)) = (row.get("id").and_then(Value::as_i64), row.get("aliases")) {
                model_aliases.insert(id, source::json(aliases));
            }
        }
        let mut memberships = HashMap::new();
        for row in source.all("LiteLLM_TeamMembership", "team_id, user_id").await? {
            if let (Some(team), Some(user)) = (text(&row, "team_id"), text(&row, "user_id")) {
                memberships.insert((team, user), row);
            }
        }
        let mut users_by_email = HashMap::new();
        for row in source.all("LiteLLM_UserTable", "user_id").await? {
            if let (Some(email), Some(user)) = (text(&row, "user_email"), text(&row, "user_id")) {
                users_by_email.insert(email.to_lowercase(), user);
            }
        }
        Ok(Self { now, permissions, model_aliases, memberships, users_by_email, unsealer })
    }
}

/// How a row of a table is made.
type Make<R> = fn(&Beside, &Map<String, Value>) -> Outcome<R>;

/// Columns whose values only one row may have.
type Unique<R> = &'static [(&'static str, fn(&R) -> Option<&String>)];

impl Importer<'_> {
    /// Opens everything that is sealed, and says how many values that were and how many it could not open.
    async fn try_secrets(&mut self) -> Result<(u64, u64), ImportError> {
        for (table, id) in [("LiteLLM_MCPServerTable", "server_id"), ("LiteLLM_MCPServerOAuthClient", "server_id")] {
            for row in self.source.all(table, id).await.map_err(ImportError::Source)? {
                // What is wrong with a row is told when it is copied.
                let _looked_at = self.beside.server(&row);
            }
        }
        for row in self.source.all("LiteLLM_MCPUserCredentials", "id").await.map_err(ImportError::Source)? {
            let _looked_at = self.beside.user_credential(&row);
        }
        for row in self.source.all("LiteLLM_MCPUserEnvVars", "id").await.map_err(ImportError::Source)? {
            let _looked_at = self.beside.user_env_vars(&row);
        }
        Ok(self.beside.unsealer.counts())
    }

    /// What others name comes before them.
    async fn all(&mut self) -> Result<(), ImportError> {
        self.table("LiteLLM_BudgetTable", "budget_id", Beside::budget, &[]).await?;
        self.table("LiteLLM_OrganizationTable", "organization_id", Beside::organization, &[]).await?;
        const OF_USER: Unique<User> = &[("sso_user_id", |user| user.sso_user_id.as_ref())];
        self.table("LiteLLM_UserTable", "user_id", Beside::user, OF_USER).await?;
        let id = "organization_id, user_id";
        self.table("LiteLLM_OrganizationMembership", id, Beside::organization_membership, &[]).await?;
        self.table("LiteLLM_TeamTable", "team_id", Beside::team, &[]).await?;
        self.members().await?;
        self.table("LiteLLM_ProjectTable", "project_id", Beside::project, &[]).await?;
        const OF_GROUP: Unique<AccessGroup> = &[("access_group_name", |group| Some(&group.access_group_name))];
        self.table("LiteLLM_AccessGroupTable", "access_group_id", Beside::access_group, OF_GROUP).await?;
        const OF_SERVER: Unique<Server> =
            &[("server_name", |server| server.server_name.as_ref()), ("alias", |server| server.alias.as_ref())];
        self.table("LiteLLM_MCPServerTable", "server_id", Beside::server, OF_SERVER).await?;
        const OF_TOOLSET: Unique<Toolset> = &[("toolset_name", |toolset| Some(&toolset.toolset_name))];
        self.table("LiteLLM_MCPToolsetTable", "toolset_id", Beside::toolset, OF_TOOLSET).await?;
        self.table::<ServerOauthClient>("LiteLLM_MCPServerOAuthClient", "server_id", Beside::oauth_client, &[]).await?;
        self.table("LiteLLM_MCPUserCredentials", "id", Beside::user_credential, &[]).await?;
        self.table("LiteLLM_MCPUserEnvVars", "id", Beside::user_env_vars, &[]).await?;
        self.table("LiteLLM_EndUserTable", "user_id", Beside::customer, &[]).await?;
        self.table("LiteLLM_VerificationToken", "token", Beside::key, &[]).await?;
        self.table("LiteLLM_DeprecatedVerificationToken", "id", Beside::deprecated_key, &[]).await
    }

    /// Copies a table, page by page, each in a transaction of its own: others are not held up for long.
    async fn table<R: Row + Default>(
        &mut self,
        table: &'static str,
        id: &'static str,
        make: Make<R>,
        unique: Unique<R>,
    ) -> Result<(), ImportError> {
        let mut told = ImportedTable::new(R::NOUN);
        let mut seen = 0;
        loop {
            let page = self.source.page(table, id, seen).await.map_err(ImportError::Source)?;
            let count = i64::try_from(page.len()).unwrap_or(i64::MAX);
            seen += count;
            let mut rows = Vec::with_capacity(page.len());
            for source in page {
                match make(&self.beside, &source) {
                    Ok(read) => rows.push(read),
                    Err(why) => told.skip(shown_id(&source, id), why),
                }
            }
            self.copy(rows, unique, &mut told).await?;
            if count < PAGE {
                break;
            }
        }
        self.done.tables.push(told);
        Ok(())
    }

    /// The members of the teams that are here now; in a dry run, of those that would be.
    async fn members(&mut self) -> Result<(), ImportError> {
        let mut told = ImportedTable::new(Noun::TeamMembership);
        let mut seen = 0;
        loop {
            let page = self.source.page("LiteLLM_TeamTable", "team_id", seen).await.map_err(ImportError::Source)?;
            let count = i64::try_from(page.len()).unwrap_or(i64::MAX);
            seen += count;
            let mut rows = Vec::new();
            for source in page {
                let (members, lost) = self.beside.members(&source);
                rows.extend(members.into_iter().map(|row| Read { row, lost: Vec::new() }));
                lost.into_iter().for_each(|why| told.skip(shown_id(&source, "team_id"), why));
            }
            self.copy(rows, &[], &mut told).await?;
            if count < PAGE {
                break;
            }
        }
        self.done.tables.push(told);
        Ok(())
    }

    async fn copy<R: Row>(
        &self,
        rows: Vec<Read<R>>,
        unique: Unique<R>,
        told: &mut ImportedTable,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut edit = self.store.edit(&self.actor).await?;
        edit.session.extend(TIME);
        for Read { row, lost } in rows {
            let id = object_id(&row);
            let cells = row.cells();
            let parts: Vec<&str> = cells[..R::IDS].iter().map(crate::edit::text_of).collect();
            if edit.find::<R>(&parts).await?.is_some() {
                told.present += 1;
                continue;
            }
            if let Some(taken) = edit.taken(&row, unique, parts[0]).await? {
                told.skip(id, format!("another row here has its `{taken}`"));
                continue;
            }
            if R::NOUN == Noun::TeamMembership && !self.dry_run && edit.find::<Team>(&parts[..1]).await?.is_none() {
                told.skip(id, "its team was left out".to_owned());
                continue;
            }
            if R::NOUN == Noun::OrganizationMembership
                && !self.dry_run
                && edit.find::<Organization>(&parts[..1]).await?.is_none()
            {
                told.skip(id, "its organization was left out".to_owned());
                continue;
            }
            if !self.dry_run {
                edit.adopt(row).await?;
            }
            told.copied += 1;
            lost.into_iter().for_each(|why| told.lose(id.clone(), why));
        }
        // Dropped without a commit, a dry run leaves nothing behind.
        if self.dry_run { Ok(()) } else { edit.commit().await }
    }
}

impl crate::edit::Edit<'_> {
    /// The first column whose value another row has.
    async fn taken<R: Row>(
        &mut self,
        row: &R,
        unique: Unique<R>,
        id: &str,
    ) -> Result<Option<&'static str>, StoreError> {
        for (column, value) in unique {
            match self.require_free::<R>(column, value(row), id).await {
                Err(StoreError::Conflict { .. }) => return Ok(Some(column)),
                outcome => outcome?,
            }
        }
        Ok(None)
    }
}

impl ImportedTable {
    fn new(noun: Noun) -> Self {
        Self { noun, copied: 0, present: 0, left_out: 0, skipped: Vec::new(), incomplete: Vec::new() }
    }

    fn skip(&mut self, id: String, why: String) {
        self.left_out += 1;
        if self.skipped.len() < TOLD {
            self.skipped.push(Skipped { id, why });
        }
    }

    fn lose(&mut self, id: String, why: String) {
        if self.incomplete.len() < TOLD {
            self.incomplete.push(Skipped { id, why });
        }
    }
}

impl Import {
    /// By the name of the table.
    pub fn by_table(&self) -> BTreeMap<&'static str, &ImportedTable> {
        self.tables.iter().map(|table| (table.noun.table(), table)).collect()
    }
}

/// A row of LiteLLM's by its id.
fn shown_id(source: &Map<String, Value>, id: &str) -> String {
    let parts: Vec<String> = id.split(", ").map(|part| text(source, part).unwrap_or_default()).collect();
    parts.join("/")
}
