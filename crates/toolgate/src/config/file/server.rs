//! One entry of `mcp_servers`: the keys that are acted on. Those that are only read yet are in
//! [`super::server_later`].

use std::collections::BTreeMap;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::server_later::{IdentityBinding, OneOrMany};

/// One MCP server.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct ServerEntry {
    /// The server's endpoint, or with `spec_path` the base URL of the API.
    #[schemars(extend("examples" = ["https://mcp.example.com/mcp"]))]
    pub url: Option<String>,
    /// How the server speaks. Absent with a `url`: Streamable HTTP is tried, then HTTP+SSE. Absent with a `command`
    /// alone: stdio.
    pub transport: Option<TransportName>,
    /// stdio: the program to start. `toolgate` is this program itself where none is on the PATH.
    pub command: Option<String>,
    /// stdio: its arguments.
    pub args: Option<Vec<String>>,
    /// stdio: more environment variables. `${X-HEADER}` takes the value of the caller's request header, and
    /// `${X-HEADER:-default}` has a value for callers that send none.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub env: Option<IndexMap<String, SecretString>>,
    /// stdio: who shares a process. Absent: everyone whose environment renders the same and who declares nothing that a
    /// server could ask of a client (roots, sampling, elicitation); a client session that does has a process to itself.
    pub isolation: Option<IsolationName>,
    /// A second name, used as prefix of the tools' names and in paths and headers.
    pub alias: Option<String>,
    /// Pins the id that grants refer to. Without it the id is derived from name, url, transport, auth_type and alias,
    /// as LiteLLM does.
    pub server_id: Option<String>,
    /// What the server is for.
    pub description: Option<String>,
    /// Instructions for the model, in place of the server's own.
    pub instructions: Option<String>,
    /// Free-form facts about the server: `logo_url`, `tool_allowlist_enforced` and others. `mcp_server_cost_info` says
    /// what calls cost in USD: `default_cost_per_query`, and `tool_name_to_cost_per_query` by the server's own names.
    pub mcp_info: Option<Map<String, Value>>,
    /// How the gateway authenticates to the server.
    #[schemars(extend("default" = "none"))]
    pub auth_type: Option<AuthType>,
    /// The credential for `auth_type`; for `basic` it is `user:password`.
    #[schemars(with = "Option<String>")]
    pub auth_value: Option<SecretString>,
    /// The same as `auth_value`; wins over it.
    #[schemars(with = "Option<String>")]
    pub authentication_token: Option<SecretString>,
    /// The header that carries the credential, where it is not the usual one.
    pub upstream_token_header: Option<String>,
    /// Headers sent with every request; they win over those of callers. `${NAME}` is filled in from `env_vars`.
    #[schemars(with = "Option<BTreeMap<String, String>>")]
    pub static_headers: Option<IndexMap<String, SecretString>>,
    /// Names of headers that are forwarded from the caller's request.
    pub extra_headers: Option<Vec<String>>,
    /// Values for `${NAME}` in `static_headers` and `env`.
    pub env_vars: Option<Vec<EnvVarEntry>>,
    /// Only these tools are listed and may be called. Empty means all, unless `mcp_info` has
    /// `tool_allowlist_enforced: true`.
    pub allowed_tools: Option<Vec<String>>,
    /// These tools are neither listed nor callable; wins over `allowed_tools`.
    pub disallowed_tools: Option<Vec<String>>,
    /// For a tool, the only parameters a call may have.
    pub allowed_params: Option<BTreeMap<String, Vec<String>>>,
    /// Tools frozen as they were when somebody approved them; others may not be called.
    #[schemars(with = "Option<BTreeMap<String, PinnedToolEntry>>")]
    pub pinned_tools: Option<IndexMap<String, PinnedToolEntry>>,
    /// For a tool, the whole name that clients see.
    pub tool_name_to_display_name: Option<BTreeMap<String, String>>,
    /// For a tool, the description that clients see.
    pub tool_name_to_description: Option<BTreeMap<String, String>>,
    /// Groups by which the server may be named in `x-mcp-servers` and in grants.
    pub access_groups: Option<Vec<String>>,
    /// Every key may use the server.
    #[schemars(extend("default" = false))]
    pub allow_all_keys: Option<bool>,
    /// How long a call may take, in seconds. Default: `LITELLM_MCP_CLIENT_TIMEOUT` or 60.
    pub timeout: Option<f64>,
    /// How many requests run at once; more wait. 0 or less: no limit.
    pub max_concurrent_requests: Option<i64>,
    /// `false`: certificates are not checked. A path: a PEM file with more root certificates.
    #[schemars(extend("default" = true))]
    pub ssl_verify: Option<SslVerify>,

    /// An OpenAPI 3.x or Swagger 2.0 document, a path or URL, that describes a REST API to be offered as tools; `url` is
    /// where the API is.
    pub spec_path: Option<String>,
    /// OpenAPI: only operations with one of these tags become tools.
    pub allowed_tags: Option<Vec<String>>,
    /// OpenAPI: only operations with one of these methods become tools.
    pub allowed_methods: Option<Vec<String>>,
    /// OpenAPI: only operations on these paths become tools; `*` is within a segment of the path, `**` beyond it.
    pub allowed_paths: Option<Vec<String>>,
    /// OpenAPI: what is different from the document, by `operationId`, tool name or `GET /path`.
    pub openapi_overlay: Option<BTreeMap<String, OverlayEntry>>,
    /// OpenAPI: whether tools say what they answer (`outputSchema`). `false` for APIs whose answers are not what their
    /// document says, since clients refuse those.
    #[schemars(extend("default" = true))]
    pub openapi_output_schemas: Option<bool>,
    /// OpenAPI: how often the document is looked at again, in seconds; at least 5.
    #[schemars(extend("default" = 300))]
    pub spec_refresh_seconds: Option<f64>,
    /// OpenAPI: origins such as `https://schemas.example.com` where documents may be that the document refers to, beside
    /// where it is itself; `*` is any in the internet, over https.
    pub spec_ref_origins: Option<Vec<String>>,
    /// OpenAPI: how much of an answer is shown; the rest is a resource to read for ten minutes.
    #[schemars(extend("default" = 1_048_576))]
    pub max_response_bytes: Option<u64>,

    // The order of the keys that are only read yet follows LiteLLM's own.
    /// The only revision of MCP to speak with the server; `auto` finds out which it speaks.
    #[schemars(extend("default" = "auto"))]
    pub protocol_version: Option<String>,
    /// Requests per minute that are sent to the server, whoever asks; one more is refused. 0 or less: no limit.
    pub rpm: Option<i64>,
    /// The server may ask clients that serve it for completions (sampling).
    #[schemars(extend("default" = true))]
    pub allow_sampling: Option<bool>,
    /// The server may ask users of clients that serve it (elicitation).
    #[schemars(extend("default" = true))]
    pub allow_elicitation: Option<bool>,
    /// `false`: only callers with an internal address see the server.
    #[schemars(extend("default" = true))]
    pub available_on_public_internet: Option<bool>,
    /// OAuth: the client's id.
    pub client_id: Option<String>,
    /// OAuth: the client's secret.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// OAuth: which flow. Absent: client credentials when client_id, client_secret and token_url are set and
    /// authorization_url is not, else authorization code.
    pub oauth2_flow: Option<OauthFlow>,
    /// OAuth: the scopes to ask for, as a list or separated by blanks.
    pub scopes: Option<OneOrMany>,
    /// OAuth: the authorization server; its metadata wins over the endpoints given here. With `client_credentials` the
    /// client's secret goes there, or to `token_url`, and nowhere else.
    pub issuer: Option<String>,
    /// OAuth: where users sign in.
    #[schemars(extend("x-status" = "not active yet"))]
    pub authorization_url: Option<String>,
    /// OAuth: where tokens are issued.
    pub token_url: Option<String>,
    /// OAuth: where clients register themselves.
    #[schemars(extend("x-status" = "not active yet"))]
    pub registration_url: Option<String>,
    /// OAuth: how the client authenticates at `token_url`.
    #[schemars(extend("default" = "client_secret_post"))]
    pub token_endpoint_auth_method: Option<TokenEndpointAuthMethod>,
    /// OAuth: the caller's bearer token is the server's own. Deprecated by LiteLLM.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub delegate_auth_to_upstream: Option<bool>,
    /// OAuth: the server's own challenges and metadata are shown to the client.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub oauth_passthrough: Option<bool>,
    /// OAuth: the gateway hosts client registration. For true_passthrough and oauth_delegate only.
    #[schemars(extend("x-status" = "not active yet"))]
    pub dcr_bridge: Option<bool>,
    /// OAuth: the server has discovery documents of its own.
    #[schemars(extend("default" = false, "x-status" = "not active yet"))]
    pub per_server_oauth_discovery: Option<bool>,
    /// OAuth: what a token response must contain, by dotted path.
    #[schemars(extend("x-status" = "not active yet"))]
    pub token_validation: Option<Map<String, Value>>,
    /// OAuth: binds the user's identity at the provider to the caller.
    #[schemars(extend("x-status" = "not active yet"))]
    pub oauth_identity_binding: Option<IdentityBinding>,
    /// OAuth: how long an obtained token is kept, in seconds.
    #[schemars(extend("x-status" = "not active yet"))]
    pub token_storage_ttl_seconds: Option<f64>,
    /// Token exchange: where.
    #[schemars(extend("x-status" = "not active yet"))]
    pub token_exchange_endpoint: Option<String>,
    /// Token exchange: `rfc8693` or `entra_obo`.
    #[schemars(extend("default" = "rfc8693", "x-status" = "not active yet"))]
    pub token_exchange_profile: Option<TokenExchangeProfile>,
    /// OAuth with `client_credentials`, and token exchange: the audience asked for.
    pub audience: Option<String>,
    /// Token exchange: the type of the caller's token.
    #[schemars(extend(
        "default" = "urn:ietf:params:oauth:token-type:access_token",
        "x-status" = "not active yet"
    ))]
    pub subject_token_type: Option<String>,
    /// RFC 8707 resource in requests to the authorization server: a URI, or `auto` for the server's own.
    pub upstream_resource: Option<String>,
    /// ID-JAG: the token endpoint of the resource's authorization server.
    #[schemars(extend("x-status" = "not active yet"))]
    pub id_jag_resource_token_endpoint: Option<String>,
    /// ID-JAG: the resource.
    #[schemars(extend("x-status" = "not active yet"))]
    pub id_jag_resource: Option<String>,
    /// ID-JAG: where the subject comes from.
    #[schemars(extend("x-status" = "not active yet"))]
    pub id_jag_subject_source: Option<String>,
    /// ID-JAG: the client's id at the resource's authorization server.
    #[schemars(extend("x-status" = "not active yet"))]
    pub id_jag_resource_client_id: Option<String>,
    /// ID-JAG: its secret.
    #[schemars(with = "Option<String>", extend("x-status" = "not active yet"))]
    pub id_jag_resource_client_secret: Option<SecretString>,
    /// OAuth: a PEM key with which the client signs assertions.
    #[schemars(with = "Option<String>", extend("x-status" = "not active yet"))]
    pub client_private_key: Option<SecretString>,
    /// OAuth: that key's id.
    #[schemars(extend("x-status" = "not active yet"))]
    pub client_private_key_id: Option<String>,
    /// OAuth: with which algorithm.
    #[schemars(extend("default" = "RS256", "x-status" = "not active yet"))]
    pub client_assertion_signing_alg: Option<String>,
    /// AWS SigV4: the access key's id. Absent: the gateway's own keys are used, for servers of this file.
    pub aws_access_key_id: Option<String>,
    /// AWS SigV4: its secret, which signs.
    #[schemars(with = "Option<String>")]
    pub aws_secret_access_key: Option<SecretString>,
    /// AWS SigV4: the session token of a temporary key.
    #[schemars(with = "Option<String>")]
    pub aws_session_token: Option<SecretString>,
    /// AWS SigV4: the region. Absent: the one in the server's name, else that of AWS_REGION.
    #[schemars(extend("default" = "us-east-1"))]
    pub aws_region_name: Option<String>,
    /// AWS SigV4: the service.
    #[schemars(extend("default" = "bedrock-agentcore"))]
    pub aws_service_name: Option<String>,
    /// AWS SigV4: the ARN of a role that is assumed with the keys, and whose keys sign then.
    pub aws_role_name: Option<String>,
    /// AWS SigV4: what the use of the role is called in AWS's log. Absent: `toolgate-` and the server's name.
    pub aws_session_name: Option<String>,
    /// Each user keeps an own credential for the server at the gateway, which is sent in place of `auth_value` when that
    /// user calls; without `auth_type` as a bearer token.
    #[schemars(extend("default" = false))]
    pub is_byok: Option<bool>,
    /// What users are told about that credential.
    pub byok_description: Option<OneOrMany>,
    /// Where users find help about that credential.
    pub byok_api_key_help_url: Option<String>,
    /// Where the server's source is found.
    pub source_url: Option<String>,
}

/// One entry of `openapi_overlay`.
#[derive(Debug, Default, Clone, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(deny_unknown_fields)]
pub struct OverlayEntry {
    /// The tool's name.
    pub name: Option<String>,
    /// The tool's title.
    pub title: Option<String>,
    /// The tool's description.
    pub description: Option<String>,
    /// `true`: the operation is no tool.
    pub hide: Option<bool>,
    /// One more tag, for `allowed_tags`.
    pub group: Option<String>,
    /// Which of the body's media types is sent.
    pub content_type: Option<String>,
}

/// `transport`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportName {
    /// Streamable HTTP.
    Http,
    /// HTTP+SSE, the transport of 2024-11-05.
    Sse,
    /// A child process.
    Stdio,
}

impl TransportName {
    /// As it is written in the file, and hashed into derived ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Sse => "sse",
            Self::Stdio => "stdio",
        }
    }
}

/// `isolation`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum IsolationName {
    /// Everyone whose environment renders the same. The server is told that clients can do nothing for it.
    Shared,
    /// One process per client session.
    Session,
    /// One process per caller.
    User,
}

/// `auth_type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AuthType {
    /// No credential.
    None,
    /// `X-API-Key: value`
    ApiKey,
    /// `Authorization: Bearer value`
    BearerToken,
    /// `Authorization: Basic base64(value)`
    Basic,
    /// `Authorization: value`
    Authorization,
    /// `Authorization: token value`
    Token,
    /// OAuth 2. With `oauth2_flow: client_credentials` the gateway signs in for itself; users who sign in are not active
    /// yet.
    Oauth2,
    /// AWS Signature Version 4: the gateway signs each request.
    AwsSigv4,
    /// OAuth token exchange. Not active yet.
    Oauth2TokenExchange,
    /// Identity assertion grant. Not active yet.
    Oauth2IdJag,
    /// The caller's `Authorization` is passed on, without a key of the gateway. Not active yet.
    TruePassthrough,
    /// The caller's `Authorization` is passed on, beside a key of the gateway. Not active yet.
    OauthDelegate,
}

impl AuthType {
    /// As it is written in the file, and hashed into derived ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ApiKey => "api_key",
            Self::BearerToken => "bearer_token",
            Self::Basic => "basic",
            Self::Authorization => "authorization",
            Self::Token => "token",
            Self::Oauth2 => "oauth2",
            Self::AwsSigv4 => "aws_sigv4",
            Self::Oauth2TokenExchange => "oauth2_token_exchange",
            Self::Oauth2IdJag => "oauth2_id_jag",
            Self::TruePassthrough => "true_passthrough",
            Self::OauthDelegate => "oauth_delegate",
        }
    }
}

/// `oauth2_flow`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OauthFlow {
    /// The gateway signs in for itself.
    ClientCredentials,
    /// Each user signs in.
    AuthorizationCode,
}

/// `token_endpoint_auth_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenEndpointAuthMethod {
    /// In the form.
    ClientSecretPost,
    /// In the `Authorization` header.
    ClientSecretBasic,
}

/// `token_exchange_profile`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TokenExchangeProfile {
    /// RFC 8693.
    Rfc8693,
    /// Microsoft Entra's on-behalf-of flow.
    EntraObo,
}

/// `ssl_verify`: a boolean or the path of a PEM file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(from = "BoolOrText")]
#[schemars(with = "BoolOrText")]
pub enum SslVerify {
    /// Whether certificates are checked.
    Switch(bool),
    /// More root certificates.
    CaFile(String),
}

/// A boolean or a text, as YAML has it.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected true, false or a path")]
enum BoolOrText {
    Bool(bool),
    Text(String),
}

impl From<BoolOrText> for SslVerify {
    fn from(value: BoolOrText) -> Self {
        match value {
            BoolOrText::Bool(value) => Self::Switch(value),
            BoolOrText::Text(text) => Self::from_text(&text),
        }
    }
}

impl SslVerify {
    /// Reads the value of `SSL_VERIFY`, or of a setting that came from the environment.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text.trim().to_ascii_lowercase().as_str() {
            "true" | "1" | "yes" | "on" => Self::Switch(true),
            "false" | "0" | "no" | "off" => Self::Switch(false),
            _ => Self::CaFile(text.to_owned()),
        }
    }
}

/// One of `env_vars`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct EnvVarEntry {
    /// The name in `${NAME}`.
    pub name: Option<String>,
    /// Its value, for scope `global`.
    #[schemars(with = "Option<String>")]
    pub value: Option<SecretString>,
    /// Whose value it is.
    #[schemars(extend("default" = "global"))]
    pub scope: Option<EnvVarScope>,
    /// What users are told about it.
    pub description: Option<String>,
}

/// `env_vars[].scope`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum EnvVarScope {
    /// The same for all callers.
    Global,
    /// Each user's own, kept at the gateway.
    User,
}

/// One of `pinned_tools`.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct PinnedToolEntry {
    /// The description as it was approved.
    pub description: Option<String>,
    /// The JSON Schema of the parameters as it was approved.
    pub input_schema: Option<Value>,
}
