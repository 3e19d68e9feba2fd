//! The binary as a shell sees it: what it prints where, and how it ends.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Runs `toolgate WORDS` with `input` on standard input and nothing of our environment.
fn toolgate(words: &[&str], input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_toolgate"));
    command.args(words).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    // A command that reads nothing may have ended before it is written to.
    let _ = stdin.write_all(input.as_bytes());
    drop(stdin);
    child.wait_with_output().expect("it ends")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("UTF-8")
}

#[test]
fn exit_codes_are_the_documented_ones_and_failures_go_to_standard_error() {
    let cases: [(&[&str], i32, &str); 10] = [
        (&[], 2, "Usage: toolgate"),
        (&["nonsense"], 2, "unrecognized subcommand"),
        (&["--port", "70000"], 2, "invalid value '70000'"),
        (&["serve", "--log-level", "verbos"], 2, "error[log-filter]: log filter `verbos`"),
        (&["--port", "0"], 78, "help: give one with --config FILE"),
        (&["--config", "/no/such/config.yaml", "--port", "0"], 78, "/no/such/config.yaml"),
        (&["serve", "--health", "--port", "1"], 4, "error[unreachable]: no gateway answers at 127.0.0.1:1"),
        (&["tools", "ls", "--url", "http://127.0.0.1:1"], 4, "error[unreachable]: `http://127.0.0.1:1/mcp`"),
        (&["tools", "ls", "--url", "nonsense"], 2, "error[url]: `nonsense` is not the URL"),
        (&["tools", "call", "x", "--arg", "y"], 2, "--arg `y` must be NAME=VALUE"),
    ];
    for (words, code, expected) in cases {
        let output = toolgate(words, "");
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {error}");
        assert!(error.contains(expected), "{words:?}: {error}");
        assert_eq!(text(&output.stdout), "", "{words:?}");
    }
}

#[test]
fn colours_come_and_go_as_they_are_asked_for() {
    let failing = ["tools", "ls", "--url", "nonsense"];
    for (options, colored) in [(&[][..], false), (&["--color", "always"], true), (&["--color", "never"], false)] {
        let output = toolgate(&[&failing[..], options].concat(), "");
        assert_eq!(text(&output.stderr).contains('\u{1b}'), colored, "{options:?}: {}", text(&output.stderr));
    }
    for words in [&["--color", "always", "version"][..], &["--color=never", "version"], &["version", "--color", "auto"]]
    {
        assert_eq!(toolgate(words, "").status.code(), Some(0), "{words:?}");
    }
    assert_eq!(toolgate(&["--color", "sometimes", "version"], "").status.code(), Some(2));
    assert_eq!(toolgate(&["--color", "never", "--port", "0"], "").status.code(), Some(78), "it is `serve`");
}

#[test]
fn a_failure_is_one_line_of_json_for_those_who_ask_for_json() {
    let output = toolgate(&["tools", "ls", "--json", "--url", "http://127.0.0.1:1"], "");
    assert_eq!(text(&output.stderr).lines().count(), 1);
    let failure: Value = serde_json::from_slice(&output.stderr).expect("JSON");
    assert_eq!(failure["error"]["code"], "unreachable");
}

#[test]
fn the_version_is_printed_for_people_and_programs() {
    let version = env!("CARGO_PKG_VERSION");
    for words in [&["version"], &["--version"], &["-V"]] {
        assert_eq!(text(&toolgate(words, "").stdout), format!("toolgate {version}\n"));
    }
    let facts: Value = serde_json::from_slice(&toolgate(&["version", "--json"], "").stdout).expect("JSON");
    assert_eq!(facts["version"], version);
    let revisions = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];
    assert_eq!(facts["mcp_revisions"], serde_json::json!(revisions));
}

#[test]
fn the_schema_of_the_configuration_is_json() {
    let schema: Value = serde_json::from_slice(&toolgate(&["config", "schema"], "").stdout).expect("JSON");
    assert!(schema["properties"]["mcp_servers"].is_object(), "{schema}");
}

#[test]
fn completion_scripts_name_the_commands() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = toolgate(&["completion", shell], "");
        assert!(text(&output.stdout).contains("demo-server"), "{shell}");
    }
}

#[test]
fn the_demo_server_answers_lines_and_ends_with_its_input() {
    let input = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\nnonsense\n";
    let output = toolgate(&["demo-server"], input);
    assert_eq!(output.status.code(), Some(0));
    let answers: Vec<Value> =
        text(&output.stdout).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((&answers[0]["id"], &answers[1]["error"]["code"]), (&1.into(), &(-32700).into()));
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn tools_speaks_with_a_program_over_stdio() {
    let program = env!("CARGO_BIN_EXE_toolgate");
    let output = toolgate(
        &["tools", "call", "add", "--args-json", "-", "--command", program, "--", "demo-server"],
        r#"{"a":1,"b":2}"#,
    );
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("3\n", ""));
    let output = toolgate(&["tools", "call", "add", "--command", program, "--", "demo-server"], "");
    assert_eq!(output.status.code(), Some(5));
}
