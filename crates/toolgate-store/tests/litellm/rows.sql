-- What a LiteLLM deployment might hold. The keys are the SHA-256 of: sk-litellm-alice-0001 (85d886..),
-- sk-litellm-team-0002 (4de9c1..), sk-litellm-lost-0003 (6a12ac..), sk-litellm-old-0004 (613e9d..).
-- Sealed values were made with PyNaCl and cryptography under the salt key sk-salt-of-litellm.

INSERT INTO "LiteLLM_BudgetTable" (budget_id, max_budget, tpm_limit, budget_duration, budget_reset_at, allowed_models, created_by, updated_by, created_at)
VALUES ('b-org', 100, 9000000000, '30d', '2026-02-01T00:00:00.123', '{"m1"}', 'admin', 'admin', '2025-05-05T05:05:05.555');

INSERT INTO "LiteLLM_ObjectPermissionTable" (object_permission_id, mcp_servers, mcp_access_groups, mcp_tool_permissions, blocked_tools, mcp_toolsets)
VALUES ('p-alice', '{"srv-1"}', '{}', '{"srv-1": ["read", "list"]}', '{"remove"}', '{"set-1"}'),
       ('p-team', '{"srv-1"}', '{"docs"}', NULL, '{}', '{}');

INSERT INTO "LiteLLM_OrganizationTable" (organization_id, organization_alias, budget_id, models, metadata, spend, created_by, updated_by)
VALUES ('org-1', 'House', 'b-org', '{}', '{"note": "n"}', 1.5, 'admin', 'admin');

INSERT INTO "LiteLLM_UserTable" (user_id, user_email, user_role, password, teams, models, spend)
VALUES ('alice', 'Alice@Example.com', 'internal_user', 'hash-of-a-password', '{"team-1"}', '{}', 2.5),
       ('bob', 'bob@example.com', 'proxy_admin', NULL, '{}', '{}', 0);

INSERT INTO "LiteLLM_OrganizationMembership" (user_id, organization_id, user_role, spend)
VALUES ('alice', 'org-1', 'org_admin', 0.5);

INSERT INTO "LiteLLM_ModelTable" (id, aliases, created_by, updated_by) VALUES (7, '{"fast": "m1"}', 'admin', 'admin');

INSERT INTO "LiteLLM_TeamTable" (team_id, team_alias, organization_id, object_permission_id, members_with_roles, metadata, models, model_id, max_budget)
VALUES ('team-1', 'Crew', 'org-1', 'p-team',
        '[{"user_id": "alice", "role": "admin"}, {"user_email": "BOB@example.com", "role": "user"}, {"user_email": "nobody@example.com", "role": "user"}]',
        '{"mcp_rpm_limit": {"files": 5}}', '{}', 7, 10);

INSERT INTO "LiteLLM_TeamMembership" (user_id, team_id, spend, total_spend, budget_id) VALUES ('alice', 'team-1', 3.5, 4.5, 'b-org'), ('gone', 'team-1', 1, 1, NULL);

INSERT INTO "LiteLLM_ProjectTable" (project_id, project_alias, team_id, models, created_by, updated_by)
VALUES ('proj-1', 'Project', 'team-1', '{}', 'admin', 'admin');

INSERT INTO "LiteLLM_AccessGroupTable" (access_group_id, access_group_name, access_mcp_server_ids, assigned_team_ids)
VALUES ('ag-1', 'group', '{"srv-1"}', '{"team-1"}');

INSERT INTO "LiteLLM_MCPServerTable" (server_id, server_name, alias, url, transport, auth_type, credentials, static_headers, env_vars, env, mcp_access_groups, mcp_info)
VALUES ('srv-1', 'files', 'files', 'http://127.0.0.1:9/mcp', 'http', 'bearer_token',
        '{"auth_value": "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXn6uhYr_J-05Ph10DUb-AXb2M_JC-D5f_BRte4SlB", "scopes": ["a"]}',
        '"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYijwLEzCuMeTPA0hYFDz0s7l5AWIMLki-J55iKVLvdvqtOZPnDMNCThY="',
        '[{"name": "G", "value": "BAUGBwgJCgsMDQ4PEBESExQVFhcYGRobOz5z3KaQOas1ELlFI0wzx3FWe6ysolbhPx6-OA==", "scope": "global"}, {"name": "U", "scope": "user"}]',
        '{}', '{"docs"}', '{"server_name": "files"}'),
       ('srv-2', 'local', NULL, NULL, 'stdio', NULL, '{}', '{"X-Plain": "as it is"}', '[]',
        '"v2:gcm:AQIDBAUGBwgJCgsMgiwDg-6hEWfr8_yZlYr9MA2qLWdFsYi24d2ILoKA1SBjEjIrh9I="', '{}', NULL),
       ('srv-3', 'broken', NULL, 'http://127.0.0.1:9/mcp', 'http', 'oauth2',
        '{"client_id": "v2:gcm:BQYHCAkKCwwNDg8QmFKnH78EvTcXtUSt6-82Czb9CJI67mOWKQ==", "client_secret": "v3:gcm:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=="}',
        NULL, NULL, NULL, '{}', NULL);

INSERT INTO "LiteLLM_MCPToolsetTable" (toolset_id, toolset_name, tools) VALUES ('set-1', 'reading', '[{"server_id": "srv-1", "tool_name": "read"}]');

INSERT INTO "LiteLLM_MCPServerOAuthClient" (server_id, credentials)
VALUES ('config-server', '{"client_id": "v2:gcm:BQYHCAkKCwwNDg8QmFKnH78EvTcXtUSt6-82Czb9CJI67mOWKQ==", "client_secret": "v3:gcm:BgcICQoLDA0ODxARolGRExivICPVUQsn1lnk6ys13Vfy8t-UqqfmGiA="}');

INSERT INTO "LiteLLM_MCPUserCredentials" (id, user_id, server_id, credential_b64)
VALUES ('c1', 'alice', 'srv-1', 'AwQFBgcICQoLDA0ODxAREhMUFRYXGBkadPxUfCrM0Bmko3fXxWnxDjpU02NWpYcpbw_6LlJFZ2oSZXCPqEPcXRyY6sbhKkX_a0RmMtnIKKr0-A=='),
       ('c2', 'bob', 'srv-1', 'c2hvcnQ=');

INSERT INTO "LiteLLM_MCPUserEnvVars" (id, user_id, server_id, values_b64)
VALUES ('v1', 'alice', 'srv-1', 'AgMEBQYHCAkKCwwNDg8QERITFBUWFxgZOae519NUPZ6LjmJUSagI60dbu7hrIJ-xKSOgZUrDjEuJjadhx6M5biA=');

INSERT INTO "LiteLLM_EndUserTable" (user_id, alias, blocked, object_permission_id) VALUES ('customer-1', 'Customer', true, 'p-team');

INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, object_permission_id, models, metadata, spend, max_budget, expires, created_by, created_at, access_group_ids)
VALUES ('85d8864f9b38db2ab0635f2a140eb170fed053f57ce01683c3d63aa580d64444', 'sk-...0001', 'alice-key', 'alice', 'p-alice', '{}', '{"team": "x"}', 0.25, 5, '2999-01-01T00:00:00', 'bob', '2025-01-02T03:04:05.678', '{"ag-1"}');
INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, user_id, team_id, models, blocked)
VALUES ('4de9c173d88b57854bb5dd98153139fbf072a834663e0ae614a82d454fb026f5', 'sk-...0002', 'team-key', 'alice', 'team-1', '{}', NULL);
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, object_permission_id, models) VALUES ('6a12ac5883a2ed9536e03b997be7d8ca10cb7bd33144a0d2e2a55732e9929fe5', 'lost-permission', 'p-gone', '{}');
INSERT INTO "LiteLLM_VerificationToken" (token, team_id, models) VALUES ('8b1b23d90042d1dcac8a31173a954708cd8c14faa1aae2feffc23337add46e10', 'litellm-dashboard', '{}');
INSERT INTO "LiteLLM_VerificationToken" (token, key_alias, models) VALUES ('not-a-hash', 'strange', '{}');
INSERT INTO "LiteLLM_DeprecatedVerificationToken" (id, token, active_token_id, revoke_at) VALUES ('d1', '613e9ddc3a83153a20177c5333618f0fd6f6c19375cd70dc1eb1f0b38727fd6c', '85d8864f9b38db2ab0635f2a140eb170fed053f57ce01683c3d63aa580d64444', '2999-01-01T00:00:00');
