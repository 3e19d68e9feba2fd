//! Files that load, and the settings they mean.

use std::time::Duration;

use http::HeaderName;
use secrecy::ExposeSecret;

use super::super::settings::{
    AllowedOrigins, AuthScheme, EnvValue, HttpKind, MasterKeyOrigin, PrefixMode, RateLimitRetries, Transport,
    UpstreamAuth,
};
use super::super::{Paint, Severity, parse};
use super::{environment, load, settings, settings_in, with};

#[test]
fn an_http_server_with_everything() {
    let text = r"
mcp_servers:
  github:
    url: https://api.githubcopilot.com/mcp
    transport: http
    alias: gh
    auth_type: bearer_token
    auth_value: ghp_default_token
    extra_headers: [custom_key, x-custom-header, Authorization]
    static_headers: {X-Tenant: '${TENANT}-1'}
    env_vars: [{name: TENANT, value: acme}]
    description: GitHub
    allowed_tools: [list_issues]
    allowed_params: {list_issues: [owner]}
    timeout: 2.5
    max_concurrent_requests: 4
    allow_all_keys: yes
    access_groups: [dev]
    protocol_version: 2025-06-18
    allow_sampling: false
";
    let settings = settings(text);
    let server = &settings.servers[0];
    let Transport::Http { url, kind } = &server.transport else { panic!("HTTP") };
    assert_eq!((url.as_str(), *kind), ("https://api.githubcopilot.com/mcp", HttpKind::Streamable));
    let UpstreamAuth::Static { scheme, value, header } = &server.auth else { panic!("static") };
    assert_eq!((*scheme, header), (AuthScheme::BearerToken, &None));
    assert_eq!(value.as_ref().unwrap().expose_secret(), "ghp_default_token");
    assert_eq!((server.name.as_str(), server.alias.as_deref(), server.prefix.as_str()), ("github", Some("gh"), "gh"));
    assert_eq!(server.static_headers[0].0, "x-tenant");
    assert_eq!(server.static_headers[0].1, "acme-1");
    assert!(server.static_headers[0].1.is_sensitive());
    assert_eq!(server.extra_headers, ["custom_key", "x-custom-header", "authorization"].map(HeaderName::from_static));
    assert_eq!(server.timeout, Some(Duration::from_millis(2500)));
    assert_eq!(server.max_concurrent_requests.map(std::num::NonZero::get), Some(4));
    assert!(server.allow_all_keys);
    assert_eq!(server.revision.map(|revision| revision.name()), Some("2025-06-18"));
    assert!(!server.allow_sampling && server.allow_elicitation);
    assert_eq!(server.mcp_info["server_name"], "github");
    assert_eq!(server.mcp_info["description"], "GitHub");
}

#[test]
fn a_stdio_server_gets_a_small_environment_and_header_driven_values() {
    let text = r"
mcp_servers:
  github:
    transport: stdio
    command: sh
    args: [-c, exit]
    env:
      FIXED: '1'
      GITHUB_PERSONAL_ACCESS_TOKEN: ${X-GITHUB_PERSONAL_ACCESS_TOKEN}
      REGION: ${X-REGION:-eu}
";
    let environment = with(&[("DATABASE_URL", "postgres://secret"), ("LANG", "C.UTF-8")]);
    let settings = settings_in(text, &environment);
    let Transport::Stdio(command) = &settings.servers[0].transport else { panic!("stdio") };
    let names: Vec<&str> = command.env.keys().map(String::as_str).collect();
    assert_eq!(names, ["FIXED", "GITHUB_PERSONAL_ACCESS_TOKEN", "HOME", "LANG", "PATH", "REGION"]);
    let EnvValue::Header { name, default: None } = &command.env["GITHUB_PERSONAL_ACCESS_TOKEN"] else {
        panic!("header")
    };
    assert_eq!(name, "x-github_personal_access_token");
    let EnvValue::Header { default: Some(default), .. } = &command.env["REGION"] else { panic!("header") };
    assert_eq!(default.expose_secret(), "eu");
}

#[test]
fn the_npm_cache_is_passed_on() {
    let text = "mcp_servers: {a: {transport: stdio, command: sh}}";
    let npm_cache = |environment| {
        let settings = settings_in(text, &environment);
        let Transport::Stdio(command) = &settings.servers[0].transport else { panic!("stdio") };
        match command.env.get("NPM_CONFIG_CACHE") {
            Some(EnvValue::Fixed(value)) => Some(value.expose_secret().to_owned()),
            _ => None,
        }
    };
    assert_eq!(npm_cache(environment()), None);
    assert_eq!(npm_cache(with(&[("MCP_NPM_CACHE_DIR", "/cache")])), Some("/cache".to_owned()));
    assert_eq!(npm_cache(with(&[("HOME", "")])), Some("/tmp/.npm_mcp_cache".to_owned()));
}

#[test]
fn values_out_of_the_environment_have_any_type() {
    let text = r"
environment_variables: {INNER: from-file, NUMBER: 7}
mcp_servers:
  a:
    url: os.environ/URL
    timeout: os.environ/SECONDS
    allow_all_keys: os.environ/YES
    max_concurrent_requests: os.environ/NUMBER
    auth_type: token
    auth_value: os.environ/INNER
";
    let environment = with(&[("URL", "http://127.0.0.1:9/mcp"), ("SECONDS", "3"), ("YES", "True")]);
    let settings = settings_in(text, &environment);
    let server = &settings.servers[0];
    assert_eq!(server.timeout, Some(Duration::from_secs(3)));
    assert!(server.allow_all_keys);
    assert_eq!(server.max_concurrent_requests.map(std::num::NonZero::get), Some(7));
    let UpstreamAuth::Static { value: Some(value), .. } = &server.auth else { panic!("static") };
    assert_eq!(value.expose_secret(), "from-file");
}

#[test]
fn ids_aliases_and_prefixes_are_those_of_litellm() {
    let text = r"
litellm_settings: {mcp_aliases: {gh: github_server, second: github_server}}
mcp_servers:
  a: {url: http://127.0.0.1:9/mcp}
  github_server: {url: http://127.0.0.1:10/mcp, transport: http}
  pinned: {url: http://127.0.0.1:11/mcp, server_id: ' mine '}
  two words: {url: http://127.0.0.1:12/mcp}
";
    let settings = settings(text);
    let [a, github, pinned, spaced] = &settings.servers[..] else { panic!("four servers") };
    assert_eq!(a.id.as_str(), "79c087dcdbdfef94fac40e917cbbbb6a");
    assert_eq!(a.other_ids[0].as_str(), "79b233456bc2fc6ae82ac1c9286ee684");
    assert_eq!(
        (github.name.as_str(), github.alias.as_deref(), github.prefix.as_str()),
        ("github_server", Some("gh"), "gh")
    );
    assert!(github.names().any(|name| name == "gh") && github.names().any(|name| name == "github_server"));
    assert_eq!((pinned.id.as_str(), pinned.other_ids.len()), ("mine", 0));
    assert_eq!(spaced.prefix, "two_words");

    let short = settings_in(
        "mcp_servers: {x: {url: 'http://h/', server_id: abc}}",
        &with(&[("LITELLM_USE_SHORT_MCP_TOOL_PREFIX", "true")]),
    );
    assert_eq!(short.servers[0].prefix, "uPa");
}

/// The configuration of the recorded LiteLLM 1.109.1, whose answers show the ids it derived.
#[test]
fn the_recorded_configuration_has_the_recorded_ids() {
    let text = r"
mcp_servers:
  ev: {url: http://127.0.0.1:3001/mcp, transport: http, description: everything, allow_all_keys: true}
  clock: {transport: stdio, command: python3, args: [-m, mcp_server_time], alias: zeit, allowed_tools: [get_current_time]}
  pets: {url: http://127.0.0.1:3001, spec_path: spec.json, auth_type: none}
  dead: {url: http://127.0.0.1:9/mcp, transport: http, timeout: 3}
";
    let settings = settings(text);
    // The other two ran on ports that the recording does not show.
    assert_eq!(settings.servers[1].id.as_str(), "ce5d7ca3a5b0d8e9c68caadd433f2e43");
    assert_eq!(settings.servers[3].id.as_str(), "c1a065c69565126ad05d337630b1d427");
    assert!(matches!(settings.servers[2].transport, Transport::OpenApi { .. }));
}

#[test]
fn every_example_of_litellms_overview_page_loads() {
    let examples = [
        "general_settings:\n  store_model_in_db: true\n",
        r#"
general_settings:
  store_model_in_db: true
  supported_db_objects: ["mcp"] # Only store MCP servers in DB
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-xxxxxxx
"#,
        r#"
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-xxxxxxx
mcp_servers:
  petstore_mcp:
    url: "https://petstore.swagger.io/v2"
    spec_path: "/path/to/openapi.json"
    auth_type: "none"
  my_api_mcp:
    url: "http://0.0.0.0:8090"
    spec_path: "/path/to/openapi.json"
    auth_type: "api_key"
    auth_value: "your-api-key-here"
  secured_api_mcp:
    url: "https://api.example.com"
    spec_path: "/path/to/openapi.json"
    auth_type: "bearer_token"
    auth_value: "your-bearer-token"
"#,
        r#"
mcp_servers:
  github_mcp:
    url: "https://api.githubcopilot.com/mcp"
    auth_type: oauth2
    client_id: os.environ/GITHUB_OAUTH_CLIENT_ID
    client_secret: os.environ/GITHUB_OAUTH_CLIENT_SECRET
"#,
        r#"
mcp_servers:
  github_mcp:
    url: "https://api.githubcopilot.com/mcp"
    auth_type: "bearer_token"
    auth_value: "ghp_default_token"
    extra_headers: ["custom_key", "x-custom-header", "Authorization"]
    description: "GitHub MCP server with custom header forwarding"
"#,
        r#"
model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: sk-xxxxxxx
general_settings:
  mcp_client_side_auth_header_name: "authorization"
"#,
    ];
    let environment = with(&[("GITHUB_OAUTH_CLIENT_ID", "id"), ("GITHUB_OAUTH_CLIENT_SECRET", "secret")]);
    for text in examples {
        let loaded = parse(text, "config.yaml", &environment);
        assert!(!loaded.has(Severity::Warning), "{text}\n{}", loaded.render(Paint::Plain));
        assert!(loaded.settings.is_some());
    }
}

#[test]
fn requests_are_signed_for_the_region_of_the_url_with_the_keys_that_are_nearest() {
    use crate::config::settings::aws::AwsKeySource;

    let of = |entry: &str, variables: &[(&str, &str)]| {
        let settings = settings_in(&format!("mcp_servers: {{a: {{auth_type: aws_sigv4, {entry}}}}}"), &with(variables));
        match &settings.servers[0].auth {
            UpstreamAuth::AwsSigv4(aws) => (**aws).clone(),
            other => panic!("{other:?}"),
        }
    };
    let own = [("AWS_ACCESS_KEY_ID", "AKIDOWN"), ("AWS_SECRET_ACCESS_KEY", "s"), ("AWS_REGION", "eu-north-1")];
    let keys = "aws_access_key_id: AKIDENTRY, aws_secret_access_key: s";
    let aws = of(&format!("url: 'https://bedrock-agentcore.cn-north-1.amazonaws.com.cn/mcp', {keys}"), &own);
    assert_eq!((aws.region.as_str(), aws.service.as_str()), ("cn-north-1", "bedrock-agentcore"));
    assert_eq!((aws.sts.endpoint.as_str(), aws.sts.is_given), ("https://sts.cn-north-1.amazonaws.com.cn/", false));
    assert!(matches!(aws.keys, AwsKeySource::Entry(keys) if keys.access_key_id == "AKIDENTRY"));
    let aws = of("url: 'https://h/mcp', aws_service_name: execute-api, aws_access_key_id: ''", &own);
    assert_eq!((aws.region.as_str(), aws.service.as_str()), ("eu-north-1", "execute-api"));
    assert!(matches!(aws.keys, AwsKeySource::Environment(keys) if keys.access_key_id == "AKIDOWN"));
    assert_eq!(of(&format!("url: 'https://h/mcp', {keys}"), &[]).region, "us-east-1");
    let identity = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"), ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")];
    let aws = of("url: 'https://h/mcp'", &identity);
    assert!(matches!(aws.keys, AwsKeySource::WebIdentity { role, .. } if role.session_name == "toolgate-a"));
}

#[test]
fn what_is_not_active_yet_loads_without_its_variables_with_a_warning() {
    let loaded =
        load("mcp_servers: {g: {url: 'https://h/mcp', auth_type: oauth2, registration_url: os.environ/NOT_THERE}}");
    assert!(loaded.has(Severity::Warning));
    let settings = loaded.settings.unwrap();
    assert!(matches!(&settings.servers[0].auth, UpstreamAuth::NotActiveYet { auth_type } if auth_type == "oauth2"));
}

#[test]
fn sections_and_keys_of_litellm_that_have_nothing_to_do_with_mcp_pass_in_silence() {
    let text = r"
model_list: [{model_name: x, litellm_params: {model: openai/x, api_key: os.environ/NOT_THERE}}]
router_settings: {routing_strategy: simple-shuffle}
guardrails: [{guardrail_name: g}]
litellm_settings: {drop_params: true, num_retries: 3, cache: true, success_callback: [langfuse]}
general_settings: {alerting: [slack], health_check_interval: 300, ui_access_mode: all}
mcp_servers: {a: {url: 'http://h/mcp'}}
";
    let loaded = load(text);
    assert!(loaded.findings.is_empty(), "{}", loaded.render(Paint::Plain));
}

/// Keys of LiteLLM's `general_settings` and `litellm_settings` that are no slips for ours.
#[test]
fn litellms_other_settings_are_not_taken_for_slips() {
    let general = "key_management_system use_google_kms use_azure_key_vault coordination_redis \
        fail_closed_rate_limit_enforcement control_plane_url database_connection_pool_limit database_connection_timeout \
        database_type database_args database_extra_connection_params otel max_parallel_requests \
        global_max_parallel_requests user_api_key_cache_max_size max_request_size_mb max_file_size_mb \
        max_response_size_mb infer_model_from_keys background_health_checks health_check_interval alerting alert_types \
        alerting_args alerting_threshold ui_access_mode public_routes enforce_user_param \
        enable_oauth2_auth proxy_budget_rescheduler_min_time proxy_batch_write_at pass_through_endpoints \
        disable_master_key_return completion_model service_account_settings image_generation_model \
        forward_headers";
    let litellm = "drop_params num_retries request_timeout set_verbose json_logs default_team_settings \
        default_internal_user_params redact_user_api_key_info turn_off_message_logging modify_params fallbacks \
        context_window_fallbacks allowed_fails telemetry input_callback service_callback audit_log_callbacks \
        max_budget budget_duration default_fallbacks ssl_certificate ssl_security_level forward_traceparent_to_llm_provider";
    let section = |keys: &str| keys.split_whitespace().map(|key| format!("  {key}: 1\n")).collect::<String>();
    let loaded = load(&format!(
        "mcp_servers: {{a: {{url: 'http://h/'}}}}\ngeneral_settings:\n{}litellm_settings:\n{}",
        section(general),
        section(litellm)
    ));
    assert!(loaded.findings.is_empty(), "{}", loaded.render(Paint::Plain));
}

#[test]
fn what_calls_cost_and_what_is_kept_of_them_is_taken_over() {
    let loaded = load(
        "
mcp_servers:
  a:
    url: 'http://h/'
    rpm: 7
    mcp_info: {mcp_server_cost_info: {default_cost_per_query: 0.01, tool_name_to_cost_per_query: {search: 1, free: 0}}}
  b: {url: 'http://h/b', rpm: 0}
general_settings:
  store_prompts_in_spend_logs: true
  disable_spend_logs: true
  maximum_spend_logs_retention_period: 7d
  maximum_spend_logs_retention_interval: 2h
",
    );
    let settings = loaded.settings.expect("no errors");
    let [a, b] = &settings.servers[..] else { panic!("two servers") };
    assert_eq!((a.rpm.map(std::num::NonZeroU64::get), b.rpm), (Some(7), None));
    assert_eq!(["search", "free", "other"].map(|tool| a.costs.of(tool)), [1.0, 0.0, 0.01]);
    assert_eq!(b.costs.of("search"), 0.0);
    let spend = &settings.general.spend;
    assert!(spend.store_prompts && spend.disable_logs);
    assert_eq!(spend.keep_for, Some(chrono::TimeDelta::days(7)));
    assert_eq!(spend.clean_every, Duration::from_secs(2 * 3_600));
    let plain = load("mcp_servers: {a: {url: 'http://h/'}}").settings.expect("no errors").general.spend;
    assert_eq!(plain, Default::default());
}

#[test]
fn costs_that_are_none_and_times_that_are_none_are_errors() {
    let costs = [
        "{default_cost_per_query: -1}",
        "{default_cost_per_query: much}",
        "3",
        "{tool_name_to_cost_per_query: 3}",
        "{tool_name_to_cost_per_query: {search: -0.1}}",
    ];
    for costs in costs {
        let text = format!("mcp_servers: {{a: {{url: 'http://h/', mcp_info: {{mcp_server_cost_info: {costs}}}}}}}");
        let loaded = load(&text);
        assert!(loaded.settings.is_none(), "{costs}");
        assert!(loaded.render(Paint::Plain).contains("mcp_server_cost_info"), "{}", loaded.render(Paint::Plain));
    }
    let loaded = load("general_settings: {maximum_spend_logs_retention_period: often}\nmcp_servers: {}");
    assert!(loaded.render(Paint::Plain).contains("`often` is no duration"), "{}", loaded.render(Paint::Plain));
}

#[test]
fn general_settings_are_taken_over() {
    let text = r#"
general_settings:
  litellm_key_header_name: X-My-Key
  mcp_client_side_auth_header_name: x-theirs
  mcp_advertised_versions: [2025-11-25, 2025-06-18]
  mcp_disabled_capabilities: [prompts]
  mcp_require_explicit_server_scope: on
  mcp_tool_prefix: when_ambiguous
  allowed_hosts: [Tools.Example.com, "10.0.0.1:4000", "[::1]:80"]
  allowed_origins: ["https://App.example.com", "http://localhost:3000"]
  shutdown_grace_seconds: 5
  max_connections: 7
  max_streams: 8
"#;
    let environment = with(&[
        ("LITELLM_MCP_CLIENT_SIDE_AUTH_HEADER_NAME", "x-ours"),
        ("LITELLM_MCP_CLIENT_TIMEOUT", "7.5"),
        ("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES", "7"),
        ("LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS", "0.25"),
        ("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_DELAY_SECONDS", "9"),
    ]);
    let settings = settings_in(text, &environment);
    let general = &settings.general;
    assert_eq!(general.key_header, Some(HeaderName::from_static("x-my-key")));
    assert_eq!(general.client_auth_header, "x-ours");
    let versions: Vec<&str> = general.advertised_versions.iter().map(|revision| revision.name()).collect();
    assert_eq!(versions, ["2025-06-18", "2025-11-25"]);
    assert!(general.disabled.prompts && !general.disabled.resources && general.require_explicit_scope);
    assert_eq!(general.allowed_hosts, ["tools.example.com", "10.0.0.1", "[::1]"]);
    let origins = ["https://app.example.com", "http://localhost:3000"].map(str::to_owned).to_vec();
    assert_eq!(general.allowed_origins, AllowedOrigins::Listed(origins));
    assert_eq!(general.shutdown_grace, Duration::from_secs(5));
    assert_eq!((settings.clients.connections, settings.clients.streams), (7, 8));
    assert_eq!(settings.naming.prefix, PrefixMode::WhenAmbiguous);
    assert_eq!(settings.timeouts.call, Duration::from_millis(7500));
    let retries = RateLimitRetries { most: 7, first: Duration::from_millis(250), longest: Duration::from_secs(9) };
    assert_eq!(settings.timeouts.rate_limit, retries);
    assert_eq!(general.master_key_origin, MasterKeyOrigin::Environment);
}

#[test]
fn an_empty_file_is_a_gateway_without_servers() {
    for text in ["", "# nothing yet\n", "mcp_servers:\n", "general_settings:\n"] {
        let settings = settings(text);
        assert!(settings.servers.is_empty(), "{text:?}");
    }
}

#[test]
fn equal_entries_have_equal_fingerprints_and_changed_ones_do_not() {
    let print = |text: &str, environment| settings_in(text, &environment).servers[0].fingerprint;
    let text = "mcp_servers: {a: {url: 'http://h/mcp', auth_type: token, auth_value: os.environ/T}}";
    let one = print(text, with(&[("T", "1")]));
    assert_eq!(one, print(&format!("# moved\n{text}"), with(&[("T", "1")])));
    assert_ne!(one, print(text, with(&[("T", "2")])));
    assert_ne!(one, print(text, with(&[("T", "1"), ("SSL_VERIFY", "false")])));
}

#[test]
fn an_empty_list_of_allowed_tools_means_all_unless_enforced() {
    let allowed = |info: &str| {
        let text = format!("mcp_servers: {{a: {{url: 'http://h/', allowed_tools: [], mcp_info: {{{info}}}}}}}");
        settings(&text).servers[0].tools.allowed.clone()
    };
    assert_eq!(allowed(""), None);
    assert_eq!(allowed("tool_allowlist_enforced: true"), Some(Vec::new()));
}

#[test]
fn no_or_a_negative_number_of_concurrent_requests_is_no_limit() {
    for limit in ["0", "-3", "null"] {
        let text = format!("mcp_servers: {{a: {{url: 'http://h/', max_concurrent_requests: {limit}}}}}");
        assert_eq!(settings(&text).servers[0].max_concurrent_requests, None);
    }
}

#[test]
fn a_redis_is_found_where_litellm_has_it() {
    let of = |text: &str, environment: &[(&str, &str)]| {
        let settings = settings_in(&format!("{text}\nmcp_servers: {{}}"), &with(environment));
        settings.general.redis.map(|redis| {
            let password = redis.password.as_ref().map_or("", |password| password.expose_secret());
            let user = redis.username.as_deref().unwrap_or_default();
            let scheme = if redis.tls { "rediss" } else { "redis" };
            let namespace = redis.namespace.as_deref().unwrap_or_default();
            format!("{scheme}://{user}:{password}@{}/{} {namespace}", redis.place(), redis.db)
        })
    };
    let cache = "litellm_settings: {cache: true, cache_params: ";
    let cases = [
        (format!("{cache}{{type: redis, host: h, port: 7000, password: p, namespace: n}}}}"), "redis://:p@h:7000/0 n"),
        (format!("{cache}{{host: h, port: '7000', ssl: true, username: u}}}}"), "rediss://u:env@h:7000/0 "),
        (format!("{cache}{{url: 'rediss://u:p%20w@[::1]:7000/3'}}}}"), "rediss://u:p w@::1:7000/3 "),
        ("litellm_settings: {cache: true}".to_owned(), "redis://:env@from-env:6380/0 "),
        ("router_settings: {redis_host: h, routing_strategy: simple-shuffle}".to_owned(), "redis://:env@h:6380/0 "),
        ("general_settings: {redis_url: 'redis://:p@h'}".to_owned(), "redis://:p@h:6379/0 "),
    ];
    let environment = [("REDIS_HOST", "from-env"), ("REDIS_PORT", "tcp://10.0.0.1:6380"), ("REDIS_PASSWORD", "env")];
    for (text, expected) in cases {
        assert_eq!(of(&text, &environment).as_deref(), Some(expected), "{text}");
    }
    let without = [
        "general_settings: {}",
        "litellm_settings: {cache: false, cache_params: {host: h}}",
        "litellm_settings: {cache: true, cache_params: {type: local}}",
    ];
    for text in without {
        assert_eq!(of(text, &environment), None, "{text}: variables alone switch nothing on");
    }
    let url = [("REDIS_URL", "redis://:p@there/2")];
    assert_eq!(of("litellm_settings: {cache: true}", &url).as_deref(), Some("redis://:p@there:6379/2 "));
}

#[test]
fn a_redis_that_cannot_be_is_refused() {
    for (text, code) in [
        ("litellm_settings: {cache: true, cache_params: {type: redis}}", "config.no_redis_host"),
        ("general_settings: {redis_url: 'http://h'}", "config.bad_redis_url"),
        ("general_settings: {redis_url: 'redis://h/x'}", "config.bad_redis_url"),
        ("router_settings: {redis_host: h, redis_port: many}", "config.bad_port"),
        ("router_settings: {redis_host: h, redis_db: first}", "config.bad_redis_db"),
    ] {
        let loaded = load(&format!("{text}\nmcp_servers: {{}}"));
        assert!(loaded.settings.is_none(), "{text}");
        assert!(loaded.findings.iter().any(|finding| finding.code == code), "{text}: {}", loaded.render(Paint::Plain));
    }
}
