//! The program as its users run it: a short report on the upstream alone, and sessions held idle.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

const BENCH: &str = env!("CARGO_BIN_EXE_toolgate-bench");

/// A child that is killed with the test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // It may have ended already, as it should.
        let _ = self.0.kill();
        self.0.wait().unwrap();
    }
}

fn upstream(flags: &[&str]) -> (Killed, String) {
    let mut child = Command::new(BENCH).arg("upstream").args(flags).stdout(Stdio::piped()).spawn().unwrap();
    let line = BufReader::new(child.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    let url = format!("http://127.0.0.1:{}/mcp", said["ports"][0]);
    (Killed(child), url)
}

#[test]
fn a_report_without_gateways_measures_direct_and_says_what_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let json = dir.path().join("report.json");
    let flags =
        ["report", "--only", "256 B, 1 session", "--seconds", "0.2", "--rounds", "2", "--nginx", "/nonexistent/nginx"];
    let ran = Command::new(BENCH).args(flags).arg("--json").arg(&json).output().unwrap();
    let (table, progress) = (String::from_utf8(ran.stdout).unwrap(), String::from_utf8(ran.stderr).unwrap());
    assert!(ran.status.success(), "{table}{progress}");
    assert!(table.contains("| tools/call 256 B, 1 session | direct |"), "{table}");
    assert!(progress.contains("nginx is left out") && progress.contains("toolgate is left out"), "{progress}");
    let report: Value = serde_json::from_slice(&std::fs::read(json).unwrap()).unwrap();
    assert_eq!(report["cells"].as_array().unwrap().len(), 2);
    assert!(report["cells"][0]["numbers"]["closed"]["calls"].as_u64().unwrap() > 0);
}

#[test]
fn a_gateway_that_does_not_start_fails_its_cell_with_its_own_words_and_the_report_goes_on() {
    let flags =
        ["report", "--only", "256 B, 1 session", "--seconds", "0.1", "--rounds", "1", "--nginx", "/nonexistent"];
    let ran = Command::new(BENCH).args(flags).args(["--toolgate", "/bin/false"]).output().unwrap();
    let table = String::from_utf8(ran.stdout).unwrap();
    assert!(!ran.status.success());
    assert!(table.contains("FAILED: tools/call 256 B, 1 session, toolgate, round 1"), "{table}");
    assert!(table.contains("| direct |"), "{table}");
}

#[test]
fn a_load_with_wrong_answers_fails() {
    let (_upstream, url) = upstream(&["--answer-bytes", "100"]);
    let flags = ["--duration", "0.1", "--warmup", "0", "--answer-bytes", "101"];
    let ran = Command::new(BENCH).args(["load", "--url", &url]).args(flags).output().unwrap();
    let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(!ran.status.success());
    assert_eq!(summary["first_error"], "100 bytes of text where 101 were expected");
}

#[test]
fn a_load_at_a_constant_rate_over_an_event_stream_is_right() {
    let (_upstream, url) = upstream(&["--sse", "--stateless", "--tools", "5"]);
    let flags = ["--sessions", "3", "--rate", "100", "--duration", "0.2", "--warmup", "0.1"];
    let method = ["--method", "tools/list", "--tools", "5"];
    let ran = Command::new(BENCH).args(["load", "--url", &url]).args(flags).args(method).output().unwrap();
    let summary: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert!(ran.status.success(), "{summary}");
    assert_eq!((summary["calls"].as_u64(), summary["errors"].as_u64()), (Some(20), Some(0)));
}

#[test]
fn sessions_are_held_until_stdin_ends_and_then_used_again() {
    let (_upstream, url) = upstream(&[]);
    let flags = ["idle", "--url", &url, "--sessions", "250", "--call-tool", "answer"];
    let idle = Command::new(BENCH).args(flags).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut idle = Killed(idle.unwrap());
    let mut lines = BufReader::new(idle.0.stdout.take().unwrap()).lines();
    let mut held = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(held()["sessions"], 250);
    drop(idle.0.stdin.take());
    assert_eq!(held()["sessions"], 125);
    assert!(idle.0.wait().unwrap().success());
}

fn crowd(subcommand: &str, url: &str) -> (bool, Value) {
    let upstream = url.strip_suffix("/mcp").unwrap();
    let flags = [subcommand, "--url", url, "--upstream", upstream, "--sessions", "40"];
    let ran = Command::new(BENCH).args(flags).output().unwrap();
    let said = serde_json::from_slice(&ran.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&ran.stderr)));
    (ran.status.success(), said)
}

#[test]
fn every_stream_hears_the_news() {
    let (_upstream, url) = upstream(&[]);
    let (success, said) = crowd("streams", &url);
    assert!(success, "{said}");
    assert_eq!((&said["sessions"], &said["lost"]), (&Value::from(40), &Value::from(0)));
    assert!(said["took_ms"].as_f64().unwrap() >= said["half_ms"].as_f64().unwrap());
}

#[test]
fn sessions_that_the_upstream_forgot_are_lost_where_nobody_opens_them_again() {
    let (_upstream, url) = upstream(&[]);
    let (success, said) = crowd("storm", &url);
    assert!(!success, "{said}");
    assert_eq!((&said["lost"], &said["reopened"]), (&Value::from(40), &Value::from(0)));
}
