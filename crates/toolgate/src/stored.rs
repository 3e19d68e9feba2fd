//! Servers that are kept in the database, and how they come to stand beside those of the configuration file.
//!
//! A row that cannot be used leaves only its own server out; what is wrong with it is logged once and told to admins.
//! Where two servers would have one name, the file goes before the database, and the older row before the younger.

pub mod entry;
pub mod view;

use std::sync::Arc;

use toolgate_access::world::ApprovalStatus;
use toolgate_store::{DamagedServer, Server, Store, StoreError};

use crate::config::settings::{ServerId, ServerSettings};
use crate::config::{Described, Finding, Settings, Severity, Taken, check_stored};

/// The setting that names the public servers, as in LiteLLM's section.
pub const PUBLIC_SERVERS: &str = "public_mcp_servers";

/// What the database holds of servers.
#[derive(Debug, Default, PartialEq)]
pub struct Kept {
    /// The oldest first.
    servers: Vec<Result<Server, DamagedServer>>,
    /// Those that `make_public` has named, if anybody ever did.
    public: Option<Vec<String>>,
}

impl Kept {
    /// Reads them.
    ///
    /// # Errors
    /// [`StoreError`] when the database does not answer.
    pub async fn read(store: &Store) -> Result<Self, StoreError> {
        let servers = store.servers_each().await?;
        let public = store.setting(PUBLIC_SERVERS).await?.and_then(|setting| setting.param_value);
        Ok(Self { servers, public: public.and_then(|ids| serde_json::from_value(ids).ok()) })
    }

    /// How many servers there are, of every status.
    #[must_use]
    pub fn len(&self) -> usize {
        self.servers.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.servers.is_empty()
    }
}

/// The servers of the database beside one configuration.
#[derive(Debug, Default)]
pub struct StoredServers(Vec<StoredServer>);

/// One of them.
#[derive(Debug)]
pub struct StoredServer {
    /// Its id.
    pub id: ServerId,
    /// Its row, unless that cannot be read.
    pub row: Option<Server>,
    /// What became of it.
    pub fate: Fate,
}

/// What became of a server of the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It can be reached.
    InUse,
    /// It is not approved.
    NotActive(ApprovalStatus),
    /// It cannot be used, because of this.
    LeftOut(String),
}

impl StoredServers {
    /// All, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = &StoredServer> {
        self.0.iter()
    }

    /// The server with this id.
    #[must_use]
    pub fn find(&self, id: &ServerId) -> Option<&StoredServer> {
        self.0.iter().find(|server| server.id == *id)
    }

    /// Says of each server that is left out why, but not of those of which `before` said the same.
    pub fn log(&self, before: &Self) {
        for server in &self.0 {
            let Fate::LeftOut(why) = &server.fate else { continue };
            if before.find(&server.id).is_none_or(|known| known.fate != server.fate) {
                let name = server.row.as_ref().map_or(server.id.as_str(), entry::name);
                tracing::warn!(server.name = name, server.id = %server.id, "a server of the database is left out: {why}");
            }
        }
    }
}

/// The configuration of the file with the servers of the database behind its own.
#[must_use]
pub fn compose(file: &Settings, kept: &Kept) -> (Settings, StoredServers) {
    let mut settings = file.clone();
    if let Some(public) = &kept.public {
        settings.access.public_mcp_servers = public.iter().map(|id| ServerId::from(id.as_str())).collect();
    }
    if !file.general.stores_servers {
        return (settings, StoredServers::default());
    }
    let mut stored = Vec::with_capacity(kept.servers.len());
    let mut taken = Taken::by(&settings.servers);
    for server in &kept.servers {
        stored.push(match server {
            Ok(row) => {
                let (fate, server) = fate(row, file, &taken);
                if let Some(server) = server.map(Arc::new) {
                    taken.add(&server);
                    settings.servers.push(server);
                }
                StoredServer { id: ServerId::from(row.server_id.as_str()), row: Some(row.clone()), fate }
            }
            Err(damaged) => StoredServer {
                id: ServerId::from(damaged.server_id.as_str()),
                row: None,
                fate: Fate::LeftOut(damaged.why.clone()),
            },
        });
    }
    (settings, StoredServers(stored))
}

fn fate(row: &Server, file: &Settings, taken: &Taken) -> (Fate, Option<ServerSettings>) {
    let status = status(row);
    if status != ApprovalStatus::Active {
        return (Fate::NotActive(status), None);
    }
    let (server, findings) = match check(row, file, taken) {
        Ok(checked) => checked,
        Err(why) => return (Fate::LeftOut(why.to_string()), None),
    };
    if server.is_none() {
        return (Fate::LeftOut(reasons(&findings)), None);
    }
    (Fate::InUse, server)
}

/// A row without a status is an old one of LiteLLM's, from before there was one. One of an unknown status is not used.
#[must_use]
pub fn status(row: &Server) -> ApprovalStatus {
    row.approval_status
        .as_deref()
        .map_or(ApprovalStatus::Active, |name| ApprovalStatus::from_name(name).unwrap_or(ApprovalStatus::Draft))
}

/// Checks a row as a server that is to be beside those whose names are `taken`.
///
/// # Errors
/// [`entry::Unreadable`] when a part of it cannot be read.
pub(crate) fn check(
    row: &Server,
    file: &Settings,
    taken: &Taken,
) -> Result<(Option<ServerSettings>, Vec<Finding>), entry::Unreadable> {
    let entry = entry::of(row)?;
    let described = Described { name: entry::name(row), entry: &entry, submitted_by: row.submitted_by.as_deref() };
    Ok(check_stored(&described, file, taken))
}

/// What makes findings errors, in one line, by the fields of the API.
fn reasons(findings: &[Finding]) -> String {
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error);
    let one = |finding: &Finding| format!("{}: {}", entry::field_of(&finding.path, finding.code), finding.message);
    errors.map(one).collect::<Vec<_>>().join("; ")
}
