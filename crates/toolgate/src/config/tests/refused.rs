//! Files with something wrong, and the whole report that the user sees.

use super::super::{Paint, parse};
use super::{environment, load, with};

/// Asserts on the report of a file.
macro_rules! report {
    ($name:ident, $text:expr) => {
        #[test]
        fn $name() {
            let loaded = load($text);
            assert_eq!(loaded.has_errors(), loaded.settings.is_none());
            insta::assert_snapshot!(loaded.render(Paint::Plain));
        }
    };
}

report!(broken_yaml, "mcp_servers:\n  a: {url: http://h/mcp\n  b: 1\n");
report!(broken_yaml_beside_a_secret, "mcp_servers:\n  a:\n    auth_value: \"hunter2\n");
report!(a_list_instead_of_a_mapping, "- mcp_servers\n");
report!(servers_as_a_list, "mcp_servers:\n  - name: a\n    url: http://h/mcp\n");
report!(another_programs_format, "mcpServers: {a: {command: npx}}\n");

report!(
    every_wrong_type_at_once,
    r"
mcp_servers:
  a:
    url: 5
    timeout: soon
    args: --flag
    allowed_tools: [ok, 7, {x: 1}]
    env: {PORT: 8080, DEBUG: true, OK: fine}
    allow_all_keys: maybe
    auth_type: bearer
    env_vars: [{name: A, scope: everyone}]
    mcp_info: text
  b: http://h/mcp
  c:
general_settings:
  mcp_disabled_capabilities: [prompt]
  mcp_tool_prefix: sometimes
"
);

report!(
    unknown_keys,
    r"
mcp_server: {}
colour: red
mcp_servers:
  a: {url: 'http://h/mcp', authType: none, trasport: http, colour: red}
general_settings:
  mcp_require_explicit_scope: true
  mcp_new_thing: 1
  alerting: []
  masterkey: sk-1
litellm_settings: {mcp_alias: {}, drop_params: true}
"
);

report!(
    duplicate_keys,
    "mcp_servers:\n  a: {url: 'http://h/1', url: 'http://h/2'}\n  a: {url: 'http://h/3'}\nmodel_list:\n  - {x: 1, x: 2}\n"
);

report!(
    urls,
    r"
mcp_servers:
  no_scheme: {url: api.example.com/mcp}
  host_and_port: {url: localhost:3000/mcp}
  wrong_scheme: {url: ftp://h/mcp}
  no_host: {url: 'http:///mcp'}
  port: {url: 'http://h:99999/mcp'}
  credentials: {url: 'https://me:hunter2@h/mcp'}
  missing: {description: nothing else}
"
);

report!(
    variables_that_are_not_set,
    r"
general_settings: {master_key: os.environ/NOT_SET, database_url: os.environ/ALSO_NOT_SET}
mcp_servers:
  a:
    url: os.environ/MY_URL
    headers: os.environ/UNKNOWN_KEY
    static_headers: {X-Key: os.environ/MY_KEY}
    client_secret: os.environ/MY_SECRET
    args: [os.environ/MY_ARG]
"
);

report!(
    names_that_clash_or_violate,
    r"
mcp_servers:
  with-dash: {url: 'http://h/1'}
  with-alias: {url: 'http://h/2', alias: fine}
  two words: {url: 'http://h/3'}
  a/b: {url: 'http://h/4'}
  fine: {url: 'http://h/5'}
  x: {url: 'http://h/6', server_id: pinned}
  y: {url: 'http://h/7', server_id: pinned}
  z: {url: 'http://h/8', server_id: ' '}
  p: {url: 'http://h/9'}
  q: {url: 'http://h/10', alias: p-more}
litellm_settings: {mcp_aliases: {one: nobody, two: fin, three: q}}
"
);

report!(
    headers_and_credentials,
    r"
mcp_servers:
  a:
    url: http://h/mcp
    auth_value: unused
    static_headers:
      Host: h
      Content-Length: '5'
      Content-Type: text/plain
      bad header: x
      X-Line: 'a${UNKNOWN}'
      X-Break: os.environ/BROKEN
      X-Leak: Bearer sk-0123456789abcdef0123456789abcdef
    extra_headers: [x-litellm-api-key, Cookie, transfer-encoding, 'no good', x-fine]
    env_vars: [{name: '1bad', value: x}, {value: y}]
  b: {url: 'http://h/b', auth_type: bearer_token}
  c: {url: 'http://h/c', auth_type: api_key, auth_value: '', upstream_token_header: connection}
environment_variables: {BROKEN: 'a

    b'}
"
);

report!(
    stdio,
    r#"
mcp_servers:
  no_command: {transport: stdio}
  not_there: {transport: stdio, command: surely-not-installed}
  with_arguments: {transport: stdio, command: "python3 -m server"}
  assumed: {command: sh}
  both: {transport: stdio, command: sh, url: "http://h/mcp"}
  unused: {url: "http://h/mcp", command: sh, args: [], env: {}}
  environment:
    transport: stdio
    command: sh
    env:
      LD_PRELOAD: ${X-P}
      https_proxy: ${X-PROXY:-none}
      PYTHONPATH: /srv
      KEY: ${X-LITELLM-API-KEY}
      PART: Bearer ${X-TOKEN}
      OTHER: ${GITHUB_TOKEN}
      "BAD=NAME": x
"#
);

report!(
    ranges,
    r"
general_settings:
  shutdown_grace_seconds: -1
  allowed_hosts: ['not a host', h/path]
  allowed_origins: [example.com, https://h/path]
  mcp_advertised_versions: ['2099-01-01', '2026-07-28']
mcp_servers:
  zero: {url: 'http://h/1', timeout: 0}
  long: {url: 'http://h/2', timeout: 1.0e9}
"
);

report!(
    tools,
    r"
mcp_servers:
  a:
    url: http://h/mcp
    allowed_tools: [x, y]
    disallowed_tools: [y]
    tool_name_to_display_name: {x: 'has blank', y: same, z: same}
    pinned_tools: {x: {input_schema: [1]}, y: {description: fine}}
"
);

report!(
    keys_of_aws,
    r#"
mcp_servers:
  none: {url: 'http://h/1', auth_type: aws_sigv4, aws_session_token: t, aws_session_name: s}
  half: {url: 'http://h/2', auth_type: aws_sigv4, aws_secret_access_key: s}
  wrong:
    url: https://bedrock-agentcore.eu-west-1.amazonaws.com/mcp
    auth_type: aws_sigv4
    aws_access_key_id: AKIDEXAMPLE
    aws_secret_access_key: "s\n"
    aws_region_name: us-east-1
    aws_service_name: Bedrock AgentCore
    aws_role_name: gate
    aws_session_name: a b
  unused:
    url: http://h/3
    auth_type: aws_sigv4
    aws_access_key_id: AKIDEXAMPLE
    aws_secret_access_key: s
    auth_value: v
    is_byok: true
    aws_service_name: s3
    static_headers: {Authorization: x}
"#
);

report!(
    what_is_not_active_yet,
    r"
mcp_servers:
  a:
    url: http://h/mcp
    auth_type: oauth2
    client_id: c
    client_secret: s
    token_url: https://h/token
    rpm: 5
    source_url: https://h/source
    available_on_public_internet: false
    audience: x
  b: {url: 'http://h/b', static_headers: {X-Key: '${MINE}'}, env_vars: [{name: MINE, scope: user}]}
  c: {url: 'http://h/c', auth_type: oauth2, client_id: c}
general_settings: {store_model_in_db: true, litellm_jwtauth: {enforce_rbac: true}, mcp_session_token_signing: {algorithm: RS256, kid: k, private_key: s}}
litellm_settings: {mcp_semantic_tool_filter: {enabled: true}}
include: [more.yaml]
"
);

report!(
    what_keeps_callers_out_at_litellm_alone,
    r"
mcp_servers: {a: {url: 'http://h/'}}
general_settings:
  allowed_ips: [10.0.0.1]
  allowed_routes: [/mcp]
  admin_only_routes: []
  user_header_mappings: [{header_name: x-user, litellm_user_role: customer}]
"
);

report!(
    what_only_python_can_do,
    r"
mcp_tools:
  - {name: now, description: the time, input_schema: {}, handler: my_module.now}
litellm_settings: {callbacks: [my_module.instance, otel], success_callback: other.thing}
general_settings: {custom_auth: my_auth.check}
"
);

report!(
    certificates,
    "litellm_settings: {ssl_verify: /not/there.pem}\nmcp_servers: {a: {url: 'https://h/', ssl_verify: no}}\n"
);

#[test]
fn bad_environment_variables() {
    let environment = with(&[
        ("LITELLM_MCP_CLIENT_TIMEOUT", "soon"),
        ("LITELLM_MCP_TOOL_LISTING_TIMEOUT", "0"),
        ("LITELLM_MCP_MAX_SSE_EVENT_SIZE_BYTES", "-1"),
        ("LITELLM_MCP_UPSTREAM_RATE_LIMIT_MAX_RETRIES", "-1"),
        ("LITELLM_MCP_UPSTREAM_RATE_LIMIT_BASE_DELAY_SECONDS", "-0.5"),
        ("MCP_TOOL_PREFIX_SEPARATOR", "a b"),
        ("LITELLM_MCP_CLIENT_SIDE_AUTH_HEADER_NAME", "no good"),
        ("LITELLM_MASTER_KEY", "sk-1234"),
    ]);
    let loaded = parse("mcp_servers: {a: {url: 'http://h/'}}", "config.yaml", &environment);
    insta::assert_snapshot!(loaded.render(Paint::Plain));
}

#[test]
fn a_secret_is_never_in_a_report() {
    let text = r"
mcp_servers: {a: {url: nothing, auth_type: none, auth_value: hunter2, static_headers: {Host: hunter2}, env: {A: hunter2}, env_vars: [{name: 1, value: hunter2}], client_secret: [hunter2]}}
general_settings: {master_key: 'hunter2 hunter2', database_url: 'postgres://u:hunter2@h/db', mcp_nothing: 'x://u:hunter2@h'}
environment_variables: {TOKEN: hunter2, TOKEN: hunter2}
";
    let loaded = load(text);
    assert!(loaded.findings.len() > 5);
    let report = loaded.render(Paint::Plain) + &serde_json::to_string(&loaded.findings).unwrap();
    assert!(!report.contains("hunter2"), "{report}");
    assert!(!format!("{loaded:?}").contains("hunter2"));
}

#[test]
fn findings_as_json_have_their_place() {
    let loaded = load("mcp_servers:\n  a:\n    url: nothing\n");
    insta::assert_json_snapshot!(loaded.findings);
}

#[test]
fn colours_are_there_when_asked_for() {
    let loaded = load("mcp_servers: {a: {url: nothing}}");
    assert!(loaded.render(Paint::Colour).contains("\u{1b}[1;31merror[config.not_a_url]\u{1b}[0m: mcp_servers.a.url"));
}

#[test]
fn a_missing_file_says_so() {
    let loaded = super::super::load(std::path::Path::new("/not/there.yaml"), &environment());
    assert!(loaded.settings.is_none());
    assert_eq!(loaded.findings[0].code, "config.unreadable");
    assert!(loaded.render(Paint::Plain).contains("--config FILE"), "{}", loaded.render(Paint::Plain));
}

#[test]
fn a_file_that_is_no_text_or_no_file_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.yaml");
    std::fs::write(&file, b"\xff\xfe").unwrap();
    for (path, code, help) in
        [(file.as_path(), "config.not_text", "as UTF-8"), (directory.path(), "config.unreadable", "a file in it")]
    {
        let loaded = super::super::load(path, &environment());
        let shown = loaded.render(Paint::Plain);
        assert!(loaded.findings[0].code == code && shown.contains(help), "{shown}");
    }
}

#[test]
fn a_huge_file_is_refused_at_once() {
    let loaded = load(&"# padding\n".repeat(500_000));
    assert_eq!(loaded.findings[0].code, "config.syntax");
}

/// A hostile or generated file must not take minutes: every step is nearly linear in the size of the file.
#[test]
fn ten_thousand_servers_are_checked() {
    let mut text = String::from("mcp_servers:\n");
    for number in 0..10_000 {
        text.push_str(&format!("  s{number}: {{url: 'http://h/{number}'}}\n"));
    }
    assert_eq!(load(&text).settings.unwrap().servers.len(), 10_000);
}

#[test]
fn control_characters_do_not_reach_the_terminal() {
    let loaded = load("mcp_servers: {a: {url: \"\\e[31mx\", \"\\e[2J\": 1, transport: \"\\e[0m\"}}");
    assert!(loaded.findings.len() >= 2);
    assert!(!loaded.render(Paint::Plain).contains('\u{1b}'));
}

#[test]
fn a_command_that_is_missing_hides_no_other_problem_of_its_server() {
    let loaded = load("mcp_servers: {a: {transport: stdio, env: {LD_PRELOAD: '${X-EVIL}', 'A=B': c}}}");
    let codes: Vec<_> = loaded.findings.iter().map(|finding| finding.code).collect();
    for code in ["config.missing_key", "config.variable_not_for_callers", "config.bad_variable_name"] {
        assert!(codes.contains(&code), "{code} is not among {codes:?}");
    }
}
