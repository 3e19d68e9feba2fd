//! Everything that toolgate keeps: keys, teams, organizations, users, servers, spend and the audit log, in SQLite or
//! PostgreSQL. All SQL of the product is here.
//!
//! [`Store`] is the way in: one method for each question that the product asks. The parts, in reading order: `store`
//! (opening), `edit` (how something is changed), `revision` (how others learn of it), a file for each kind of thing, and
//! below them `row`, `cell` and `db`, which know the engines.

mod store;

mod edit;
mod revision;

mod authorization;
mod keys;
mod organizations;
mod projects;
mod teams;
mod users;

mod budgets;
mod customers;
mod groups;
mod servers;
mod settings;

mod activity;
mod spend;

mod audit;
mod resets;

mod backup;
mod canary;
mod litellm;
mod migrate;
mod rekey;

mod change;
mod error;
mod noun;
mod page;
mod secret;

mod cell;
mod db;
mod query;
mod row;

pub use activity::{Activity, ActivityOf};
pub use audit::{Action, AuditEntry, AuditFilter, Head, Occurrence, Verdict};
pub use authorization::{Authorization, customer_facts, organization_facts, team_facts, user_facts};
pub use backup::{Inventory, restore_file};
pub use budgets::{Budget, BudgetChanges, OwnBudget};
pub use change::Change;
pub use customers::{Customer, CustomerChanges};
pub use edit::Actor;
pub use error::StoreError;
pub use groups::{AccessGroup, AccessGroupChanges, Toolset, ToolsetChanges, ToolsetTool};
pub use keys::{DeprecatedKey, DeprecatedKeyChanges, Key, KeyChanges, KeyFilter, KeyOrder, KeyScope, Regenerated};
pub use litellm::{Import, ImportError, ImportOptions, ImportedTable, LitellmDatabase, Skipped};
pub use noun::Noun;
pub use organizations::{
    Organization, OrganizationChanges, OrganizationFilter, OrganizationMembership, OrganizationMembershipChanges,
};
pub use page::{MAX_PAGE_SIZE, Page, PageOf};
pub use projects::{Project, ProjectChanges};
pub use query::Direction;
pub use rekey::{Rekeyed, SealedPlace};
pub use revision::{Changes, Revision, Touched};
pub use secret::{KeyRing, Secret};
pub use servers::{
    DamagedServer, Health, Server, ServerChanges, ServerOauthClient, ServerOauthClientChanges, UserCredential,
    UserCredentialChanges, UserEnvVars, UserEnvVarsChanges,
};
pub use settings::{Setting, SettingChanges};
pub use spend::{DaySpend, PayerKind, Recorded, SpendBy, SpendFilter, SpendRow, SpendScope, SpendSum, Spent};
pub use store::{Clock, Database, Store, StoreSettings};
pub use teams::{Team, TeamChanges, TeamFilter, TeamMembership, TeamMembershipChanges, TeamOrder, TeamScope};
pub use users::{User, UserChanges, UserFilter, UserOrder};
