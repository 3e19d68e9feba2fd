-- Times are microseconds since 1970, JSON is text, and truth is 0 or 1.

-- What one database is, as a whole. One row.
CREATE TABLE gateway_state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    -- Counts all changes; its row is locked while somebody changes something.
    revision INTEGER NOT NULL,
    -- Changes up to this revision are no longer in the table `changes`.
    changes_from INTEGER NOT NULL,
    -- Where the audit log ends.
    audit_seq INTEGER NOT NULL,
    audit_hash TEXT NOT NULL
) STRICT;
INSERT INTO gateway_state (id, revision, changes_from, audit_seq, audit_hash) VALUES (1, 0, 0, 0, '');

-- A known text sealed with each sealing key in use: whoever cannot open it has the wrong key.
CREATE TABLE canaries (
    key_id TEXT PRIMARY KEY,
    sealed TEXT NOT NULL
) STRICT;

CREATE TABLE changes (
    revision INTEGER NOT NULL,
    noun TEXT NOT NULL,
    object_id TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (revision, noun, object_id)
) STRICT;

CREATE TABLE audit_log (
    seq INTEGER PRIMARY KEY,
    updated_at INTEGER NOT NULL,
    changed_by TEXT NOT NULL,
    changed_by_api_key TEXT NOT NULL,
    request_id TEXT NOT NULL,
    action TEXT NOT NULL,
    table_name TEXT NOT NULL,
    object_id TEXT NOT NULL,
    -- JSON, as the text that was hashed.
    before_value TEXT,
    updated_values TEXT,
    before_hash TEXT NOT NULL,
    after_hash TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL
) STRICT;
CREATE INDEX audit_log_object ON audit_log (table_name, object_id, seq);
CREATE INDEX audit_log_updated_at ON audit_log (updated_at);

CREATE TABLE budgets (
    budget_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    max_budget REAL,
    soft_budget REAL,
    max_parallel_requests INTEGER,
    tpm_limit INTEGER,
    rpm_limit INTEGER,
    tpd_limit INTEGER,
    model_max_budget TEXT,
    budget_duration TEXT,
    budget_reset_at INTEGER,
    allowed_models TEXT NOT NULL,
    temp_budget_increase REAL,
    temp_budget_expiry INTEGER
) STRICT;
CREATE INDEX budgets_reset ON budgets (budget_duration, budget_reset_at);

CREATE TABLE organizations (
    organization_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    organization_alias TEXT NOT NULL,
    budget_id TEXT,
    metadata TEXT NOT NULL,
    models TEXT NOT NULL,
    spend REAL NOT NULL,
    model_spend TEXT NOT NULL,
    object_permission TEXT
) STRICT;
CREATE INDEX organizations_alias ON organizations (organization_alias);
CREATE INDEX organizations_budget ON organizations (budget_id);

CREATE TABLE organization_memberships (
    organization_id TEXT NOT NULL REFERENCES organizations (organization_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    user_role TEXT,
    spend REAL NOT NULL,
    budget_id TEXT,
    PRIMARY KEY (organization_id, user_id)
) STRICT;
CREATE INDEX organization_memberships_user ON organization_memberships (user_id);
CREATE INDEX organization_memberships_budget ON organization_memberships (budget_id);

CREATE TABLE teams (
    team_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    team_alias TEXT,
    organization_id TEXT,
    metadata TEXT NOT NULL,
    max_budget REAL,
    soft_budget REAL,
    spend REAL NOT NULL,
    models TEXT NOT NULL,
    max_parallel_requests INTEGER,
    tpm_limit INTEGER,
    rpm_limit INTEGER,
    tpd_limit INTEGER,
    budget_duration TEXT,
    budget_reset_at INTEGER,
    budget_limits TEXT,
    blocked INTEGER NOT NULL,
    model_spend TEXT NOT NULL,
    model_max_budget TEXT NOT NULL,
    model_aliases TEXT,
    router_settings TEXT,
    team_member_permissions TEXT NOT NULL,
    access_group_ids TEXT NOT NULL,
    policies TEXT NOT NULL,
    default_team_member_models TEXT NOT NULL,
    allow_team_guardrail_config INTEGER NOT NULL,
    object_permission TEXT
) STRICT;
CREATE INDEX teams_organization ON teams (organization_id);
CREATE INDEX teams_alias ON teams (team_alias);
CREATE INDEX teams_created ON teams (created_at);
CREATE INDEX teams_reset ON teams (budget_duration, budget_reset_at);

CREATE TABLE team_memberships (
    team_id TEXT NOT NULL REFERENCES teams (team_id) ON DELETE CASCADE,
    user_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    role TEXT NOT NULL,
    user_email TEXT,
    spend REAL NOT NULL,
    total_spend REAL NOT NULL,
    budget_id TEXT,
    PRIMARY KEY (team_id, user_id)
) STRICT;
CREATE INDEX team_memberships_user ON team_memberships (user_id);
CREATE INDEX team_memberships_budget ON team_memberships (budget_id);

CREATE TABLE users (
    user_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    user_alias TEXT,
    team_id TEXT,
    sso_user_id TEXT UNIQUE,
    organization_id TEXT,
    password TEXT,
    password_reset_required INTEGER,
    user_role TEXT,
    max_budget REAL,
    spend REAL NOT NULL,
    user_email TEXT,
    models TEXT NOT NULL,
    metadata TEXT NOT NULL,
    max_parallel_requests INTEGER,
    tpm_limit INTEGER,
    rpm_limit INTEGER,
    budget_duration TEXT,
    budget_reset_at INTEGER,
    allowed_cache_controls TEXT NOT NULL,
    policies TEXT NOT NULL,
    model_spend TEXT NOT NULL,
    model_max_budget TEXT NOT NULL,
    object_permission TEXT
) STRICT;
CREATE INDEX users_email ON users (LOWER(user_email));
CREATE INDEX users_organization ON users (organization_id);
CREATE INDEX users_created ON users (created_at);
CREATE INDEX users_reset ON users (budget_duration, budget_reset_at);

CREATE TABLE customers (
    user_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    alias TEXT,
    spend REAL NOT NULL,
    allowed_model_region TEXT,
    default_model TEXT,
    models TEXT NOT NULL,
    budget_id TEXT,
    blocked INTEGER NOT NULL,
    object_permission TEXT
) STRICT;
CREATE INDEX customers_budget ON customers (budget_id);

CREATE TABLE projects (
    project_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    project_alias TEXT,
    description TEXT,
    team_id TEXT,
    budget_id TEXT,
    metadata TEXT NOT NULL,
    models TEXT NOT NULL,
    spend REAL NOT NULL,
    model_spend TEXT NOT NULL,
    model_rpm_limit TEXT NOT NULL,
    model_tpm_limit TEXT NOT NULL,
    blocked INTEGER NOT NULL,
    object_permission TEXT
) STRICT;
CREATE INDEX projects_team ON projects (team_id);
CREATE INDEX projects_budget ON projects (budget_id);

CREATE TABLE keys (
    -- The SHA-256 of the key, in hex.
    token TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    key_name TEXT,
    key_alias TEXT,
    key_type TEXT,
    user_id TEXT,
    team_id TEXT,
    organization_id TEXT,
    project_id TEXT,
    agent_id TEXT,
    budget_id TEXT,
    models TEXT NOT NULL,
    aliases TEXT NOT NULL,
    config TEXT NOT NULL,
    permissions TEXT NOT NULL,
    metadata TEXT NOT NULL,
    router_settings TEXT,
    blocked INTEGER,
    expires INTEGER,
    spend REAL NOT NULL,
    total_spend REAL NOT NULL,
    max_budget REAL,
    soft_budget_cooldown INTEGER NOT NULL,
    budget_duration TEXT,
    budget_reset_at INTEGER,
    budget_limits TEXT,
    budget_fallbacks TEXT NOT NULL,
    model_spend TEXT NOT NULL,
    model_max_budget TEXT NOT NULL,
    max_parallel_requests INTEGER,
    tpm_limit INTEGER,
    rpm_limit INTEGER,
    tpd_limit INTEGER,
    allowed_cache_controls TEXT NOT NULL,
    allowed_routes TEXT NOT NULL,
    policies TEXT NOT NULL,
    access_group_ids TEXT NOT NULL,
    object_permission TEXT,
    settings_updated_at INTEGER,
    last_active INTEGER,
    rotation_count INTEGER NOT NULL,
    auto_rotate INTEGER NOT NULL,
    rotation_interval TEXT,
    last_rotation_at INTEGER,
    key_rotation_at INTEGER
) STRICT;
CREATE INDEX keys_alias ON keys (key_alias);
CREATE INDEX keys_user ON keys (user_id, team_id);
CREATE INDEX keys_team ON keys (team_id);
CREATE INDEX keys_organization ON keys (organization_id);
CREATE INDEX keys_project ON keys (project_id);
CREATE INDEX keys_budget ON keys (budget_id);
CREATE INDEX keys_created ON keys (created_at, token);
CREATE INDEX keys_reset ON keys (budget_duration, budget_reset_at);

-- Former hashes of keys that were regenerated, good until `revoke_at`.
CREATE TABLE deprecated_keys (
    token TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    active_token_id TEXT NOT NULL,
    revoke_at INTEGER NOT NULL
) STRICT;
CREATE INDEX deprecated_keys_active ON deprecated_keys (active_token_id);
CREATE INDEX deprecated_keys_revoke ON deprecated_keys (revoke_at);

CREATE TABLE access_groups (
    access_group_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    access_group_name TEXT NOT NULL UNIQUE,
    description TEXT,
    access_model_names TEXT NOT NULL,
    access_mcp_server_ids TEXT NOT NULL,
    mcp_tool_permissions TEXT,
    access_agent_ids TEXT NOT NULL,
    access_skill_names TEXT NOT NULL,
    assigned_team_ids TEXT NOT NULL,
    assigned_key_ids TEXT NOT NULL
) STRICT;

CREATE TABLE toolsets (
    toolset_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    toolset_name TEXT NOT NULL UNIQUE,
    description TEXT,
    tools TEXT NOT NULL
) STRICT;

CREATE TABLE servers (
    server_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    server_name TEXT,
    alias TEXT,
    description TEXT,
    instructions TEXT,
    url TEXT,
    spec_path TEXT,
    transport TEXT NOT NULL,
    auth_type TEXT,
    -- Sealed: credentials, static_headers, env_vars, env.
    credentials TEXT,
    static_headers TEXT,
    env_vars TEXT,
    env TEXT,
    mcp_info TEXT,
    mcp_access_groups TEXT NOT NULL,
    allowed_tools TEXT NOT NULL,
    disallowed_tools TEXT NOT NULL,
    allowed_params TEXT,
    tool_name_to_display_name TEXT,
    tool_name_to_description TEXT,
    pinned_tools TEXT,
    extra_headers TEXT NOT NULL,
    status TEXT,
    last_health_check INTEGER,
    health_check_error TEXT,
    command TEXT,
    args TEXT NOT NULL,
    issuer TEXT,
    authorization_url TEXT,
    token_url TEXT,
    registration_url TEXT,
    oauth2_flow TEXT,
    token_exchange_endpoint TEXT,
    audience TEXT,
    subject_token_type TEXT,
    token_exchange_profile TEXT,
    allow_all_keys INTEGER NOT NULL,
    available_on_public_internet INTEGER NOT NULL,
    delegate_auth_to_upstream INTEGER NOT NULL,
    oauth_passthrough INTEGER NOT NULL,
    dcr_bridge INTEGER,
    per_server_oauth_discovery INTEGER NOT NULL,
    is_byok INTEGER NOT NULL,
    byok_description TEXT NOT NULL,
    byok_api_key_help_url TEXT,
    source_url TEXT,
    timeout REAL,
    max_concurrent_requests INTEGER,
    rpm INTEGER,
    approval_status TEXT,
    submitted_by TEXT,
    submitted_at INTEGER,
    reviewed_at INTEGER,
    review_notes TEXT
) STRICT;
CREATE INDEX servers_name ON servers (server_name);
CREATE INDEX servers_alias ON servers (alias);
CREATE INDEX servers_approval ON servers (approval_status);

CREATE TABLE server_oauth_clients (
    server_id TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    -- Sealed.
    credentials TEXT
) STRICT;

CREATE TABLE user_credentials (
    user_id TEXT NOT NULL,
    server_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    -- Sealed.
    credential TEXT,
    PRIMARY KEY (user_id, server_id)
) STRICT;
CREATE INDEX user_credentials_server ON user_credentials (server_id);

CREATE TABLE user_env_vars (
    user_id TEXT NOT NULL,
    server_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    -- Sealed.
    env_values TEXT,
    PRIMARY KEY (user_id, server_id)
) STRICT;
CREATE INDEX user_env_vars_server ON user_env_vars (server_id);

CREATE TABLE settings (
    param_name TEXT PRIMARY KEY,
    created_at INTEGER NOT NULL,
    created_by TEXT,
    updated_at INTEGER NOT NULL,
    updated_by TEXT,
    param_value TEXT
) STRICT;

CREATE TABLE spend_logs (
    request_id TEXT PRIMARY KEY,
    call_type TEXT NOT NULL,
    api_key TEXT NOT NULL,
    spend REAL NOT NULL,
    total_tokens INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL,
    completion_tokens INTEGER NOT NULL,
    start_time INTEGER NOT NULL,
    end_time INTEGER NOT NULL,
    request_duration_ms INTEGER,
    model TEXT NOT NULL,
    model_group TEXT,
    custom_llm_provider TEXT,
    api_base TEXT,
    user_id TEXT,
    team_id TEXT,
    organization_id TEXT,
    project_id TEXT,
    end_user TEXT,
    agent_id TEXT,
    requester_ip_address TEXT,
    session_id TEXT,
    status TEXT,
    mcp_namespaced_tool_name TEXT,
    mcp_server_id TEXT,
    metadata TEXT,
    request_tags TEXT,
    messages TEXT,
    response TEXT
) STRICT;
CREATE INDEX spend_logs_start ON spend_logs (start_time, request_id);
CREATE INDEX spend_logs_key ON spend_logs (api_key, start_time);
CREATE INDEX spend_logs_team ON spend_logs (team_id, start_time);
CREATE INDEX spend_logs_user ON spend_logs (user_id, start_time);
CREATE INDEX spend_logs_end_user ON spend_logs (end_user, start_time);
CREATE INDEX spend_logs_server ON spend_logs (mcp_server_id, start_time);
