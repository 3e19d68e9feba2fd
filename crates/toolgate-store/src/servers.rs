//! MCP servers that were made through the API, and what users keep for servers.

use chrono::{DateTime, Utc};
use serde_json::Value;
use toolgate_access::permission::ToolPermissions;

use crate::cell::{Cell, Kind, args};
use crate::row::{ChangesOf as _, row};
use crate::{Actor, Noun, Secret, Store, StoreError};

row! {
    /// An MCP server. Secrets are JSON as text: `credentials`, `static_headers` and `env` are objects, `env_vars` a list
    /// of `{name, value, scope, description}`.
    pub struct Server, ServerChanges in Noun::Server;
    id { server_id }
    free {
        server_name: Option<String>,
        alias: Option<String>,
        description: Option<String>,
        instructions: Option<String>,
        url: Option<String>,
        spec_path: Option<String>,
        transport: String = "sse".to_owned(),
        auth_type: Option<String>,
        credentials: Option<Secret>,
        static_headers: Option<Secret>,
        env_vars: Option<Secret>,
        env: Option<Secret>,
        mcp_info: Option<Value>,
        mcp_access_groups: Vec<String>,
        allowed_tools: Vec<String>,
        /// Not in LiteLLM's table, where the YAML alone can say it.
        disallowed_tools: Vec<String>,
        /// The same.
        allowed_params: Option<ToolPermissions>,
        tool_name_to_display_name: Option<Value>,
        tool_name_to_description: Option<Value>,
        pinned_tools: Option<Value>,
        extra_headers: Vec<String>,
        /// What the last health check found.
        status: Option<String> = Some("unknown".to_owned()),
        last_health_check: Option<DateTime<Utc>>,
        health_check_error: Option<String>,
        command: Option<String>,
        args: Vec<String>,
        issuer: Option<String>,
        authorization_url: Option<String>,
        token_url: Option<String>,
        registration_url: Option<String>,
        oauth2_flow: Option<String>,
        token_exchange_endpoint: Option<String>,
        audience: Option<String>,
        subject_token_type: Option<String>,
        token_exchange_profile: Option<String>,
        allow_all_keys: bool,
        available_on_public_internet: bool = true,
        delegate_auth_to_upstream: bool,
        oauth_passthrough: bool,
        dcr_bridge: Option<bool>,
        per_server_oauth_discovery: bool,
        is_byok: bool,
        byok_description: Vec<String>,
        byok_api_key_help_url: Option<String>,
        source_url: Option<String>,
        /// Of a call, in seconds.
        timeout: Option<f64>,
        max_concurrent_requests: Option<i64>,
        rpm: Option<i64>,
        /// `active`, `pending_review`, `rejected` or `draft`.
        approval_status: Option<String> = Some("active".to_owned()),
        submitted_by: Option<String>,
        submitted_at: Option<DateTime<Utc>>,
        reviewed_at: Option<DateTime<Utc>>,
        review_notes: Option<String>,
    }
}

row! {
    /// The gateway's own OAuth client at a server's authorization server, for servers of the config file as well.
    pub struct ServerOauthClient, ServerOauthClientChanges in Noun::ServerOauthClient;
    id { server_id }
    free {
        /// JSON: what the registration answered.
        credentials: Option<Secret>,
    }
}

row! {
    /// A user's own credential for a server.
    pub struct UserCredential, UserCredentialChanges in Noun::UserCredential;
    id { user_id, server_id }
    free {
        /// A bearer value, or JSON of OAuth tokens: whoever writes it reads it.
        credential: Option<Secret>,
    }
}

row! {
    /// A user's own environment values for a server.
    pub struct UserEnvVars, UserEnvVarsChanges in Noun::UserEnvVars;
    id { user_id, server_id }
    free {
        /// JSON: an object of strings.
        env_values: Option<Secret>,
    }
}

/// A server's row that this release cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DamagedServer {
    /// Its id.
    pub server_id: String,
    /// What is wrong with it.
    pub why: String,
}

/// What a health check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// `healthy`, `unhealthy` or `unknown`.
    pub status: String,
    /// Why it is not healthy.
    pub error: Option<String>,
    /// When it was checked.
    pub at: DateTime<Utc>,
}

impl Store {
    /// Keeps a new server.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] when its id, name or alias is taken.
    pub async fn create_server(&self, actor: &Actor, server: Server) -> Result<Server, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            edit.require_free::<Server>("server_name", server.server_name.as_ref(), &server.server_id).await?;
            edit.require_free::<Server>("alias", server.alias.as_ref(), &server.server_id).await?;
            let server = edit.insert(server).await?;
            edit.commit().await?;
            Ok(server)
        })
        .await
    }

    /// The server with this id.
    pub async fn server(&self, server_id: &str) -> Result<Option<Server>, StoreError> {
        self.get(&[server_id]).await
    }

    /// All servers of every approval status, the oldest first.
    pub async fn servers(&self) -> Result<Vec<Server>, StoreError> {
        self.db().read().await?.select(self.sealer(), "ORDER BY created_at, server_id", vec![]).await
    }

    /// The same; a row that cannot be read is there as what is wrong with it, and keeps no other from being read.
    pub async fn servers_each(&self) -> Result<Vec<Result<Server, DamagedServer>>, StoreError> {
        match self.servers().await {
            Ok(servers) => Ok(servers.into_iter().map(Ok).collect()),
            Err(error) if error.is_retryable() => Err(error),
            Err(_) => self.servers_one_by_one().await,
        }
    }

    async fn servers_one_by_one(&self) -> Result<Vec<Result<Server, DamagedServer>>, StoreError> {
        let mut session = self.db().read().await?;
        let sql = "SELECT server_id FROM servers ORDER BY created_at, server_id";
        let ids = session.rows(sql, args![], vec![Kind::Text]).await?;
        let mut servers = Vec::with_capacity(ids.len());
        for id in ids {
            let Some(Cell::Text(server_id)) = id.into_iter().next() else { continue };
            match session.by_id::<Server>(self.sealer(), &[&server_id]).await {
                Ok(server) => servers.extend(server.map(Ok)),
                Err(error) if error.is_retryable() => return Err(error),
                Err(error) => servers.push(Err(DamagedServer { server_id, why: error.to_string() })),
            }
        }
        Ok(servers)
    }

    /// Changes a server.
    pub async fn update_server(
        &self,
        actor: &Actor,
        server_id: &str,
        changes: ServerChanges,
    ) -> Result<Server, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let before = edit.existing::<Server>(&[server_id]).await?;
            let mut after = before.clone();
            changes.apply(&mut after);
            if after.server_name != before.server_name {
                edit.require_free::<Server>("server_name", after.server_name.as_ref(), server_id).await?;
            }
            if after.alias != before.alias {
                edit.require_free::<Server>("alias", after.alias.as_ref(), server_id).await?;
            }
            let server = edit.write(&before, after).await?;
            edit.commit().await?;
            Ok(server)
        })
        .await
    }

    /// Writes what a health check found. It is no change that anybody made: no audit entry, no revision.
    pub async fn record_server_health(&self, server_id: &str, health: &Health) -> Result<(), StoreError> {
        let sql =
            "UPDATE servers SET status = $1, health_check_error = $2, last_health_check = $3 WHERE server_id = $4";
        let mut session = self.db().write().await?;
        session.execute(sql, args![health.status, health.error, health.at, server_id]).await?;
        session.commit().await
    }

    /// Deletes a server with what users kept for it. `None` when there was none.
    pub async fn delete_server(&self, actor: &Actor, server_id: &str) -> Result<Option<Server>, StoreError> {
        Box::pin(async move {
            let mut edit = self.edit(actor).await?;
            let server = match edit.find::<Server>(&[server_id]).await {
                Ok(Some(server)) => server,
                Ok(None) => return Ok(None),
                // To delete it is the way out.
                Err(StoreError::Corrupt { .. }) => Server { server_id: server_id.to_owned(), ..Server::default() },
                Err(error) => return Err(error),
            };
            let its = "WHERE server_id = $1";
            edit.delete_where::<UserCredential>(its, args![server_id]).await?;
            edit.delete_where::<UserEnvVars>(its, args![server_id]).await?;
            edit.delete_where::<ServerOauthClient>(its, args![server_id]).await?;
            edit.delete(&server).await?;
            edit.commit().await?;
            Ok(Some(server))
        })
        .await
    }

    /// The gateway's own OAuth client for a server.
    pub async fn server_oauth_client(&self, server_id: &str) -> Result<Option<ServerOauthClient>, StoreError> {
        self.get(&[server_id]).await
    }

    /// Keeps the gateway's own OAuth client for a server, in place of the one that was kept.
    pub async fn put_server_oauth_client(&self, actor: &Actor, client: ServerOauthClient) -> Result<(), StoreError> {
        let mut edit = self.edit(actor).await?;
        edit.upsert(client).await?;
        edit.commit().await
    }

    /// A user's credential for a server.
    pub async fn user_credential(&self, user_id: &str, server_id: &str) -> Result<Option<UserCredential>, StoreError> {
        self.get(&[user_id, server_id]).await
    }

    /// A user's credentials for all servers, by server id.
    pub async fn user_credentials(&self, user_id: &str) -> Result<Vec<UserCredential>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE user_id = $1 ORDER BY server_id", args![user_id]).await
    }

    /// Who keeps a credential for a server, by user id.
    pub async fn user_credentials_for(&self, server_id: &str) -> Result<Vec<UserCredential>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE server_id = $1 ORDER BY user_id", args![server_id]).await
    }

    /// A user's environment values for all servers, by server id.
    pub async fn all_user_env_vars(&self, user_id: &str) -> Result<Vec<UserEnvVars>, StoreError> {
        let mut session = self.db().read().await?;
        session.select(self.sealer(), "WHERE user_id = $1 ORDER BY server_id", args![user_id]).await
    }

    /// Keeps a user's credential for a server, in place of the one that was kept.
    pub async fn put_user_credential(&self, actor: &Actor, credential: UserCredential) -> Result<(), StoreError> {
        let mut edit = self.edit(actor).await?;
        edit.upsert(credential).await?;
        edit.commit().await
    }

    /// Deletes a user's credential for a server; whether there was one.
    pub async fn delete_user_credential(
        &self,
        actor: &Actor,
        user_id: &str,
        server_id: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.remove::<UserCredential>(actor, &[user_id, server_id]).await?.is_some())
    }

    /// A user's environment values for a server.
    pub async fn user_env_vars(&self, user_id: &str, server_id: &str) -> Result<Option<UserEnvVars>, StoreError> {
        self.get(&[user_id, server_id]).await
    }

    /// Keeps a user's environment values for a server, in place of those that were kept.
    pub async fn put_user_env_vars(&self, actor: &Actor, values: UserEnvVars) -> Result<(), StoreError> {
        let mut edit = self.edit(actor).await?;
        edit.upsert(values).await?;
        edit.commit().await
    }

    /// Deletes a user's environment values for a server; whether there were any.
    pub async fn delete_user_env_vars(
        &self,
        actor: &Actor,
        user_id: &str,
        server_id: &str,
    ) -> Result<bool, StoreError> {
        Ok(self.remove::<UserEnvVars>(actor, &[user_id, server_id]).await?.is_some())
    }
}
