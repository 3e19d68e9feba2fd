//! The official conformance suite as a judge of servers and clients.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde::Deserialize;
use tokio::process::Command;

use super::peers::{installed, node22, source};

/// How long one run of the suite may take; beside other tests it takes ten times as long as alone.
const SUITE_PATIENCE: Duration = Duration::from_secs(150);

/// What the suite found: its checks as `scenario: id name`, with the worst of their outcomes.
#[derive(Debug, Default)]
pub(crate) struct Verdict(BTreeMap<String, Check>);

/// What became of a check; later ones are worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
enum Outcome {
    Skipped,
    Info,
    Success,
    Warning,
    Failure,
}

#[derive(Debug, Deserialize)]
struct Check {
    id: String,
    #[serde(default)]
    name: String,
    status: Outcome,
    #[serde(rename = "errorMessage")]
    error: Option<String>,
}

impl Verdict {
    /// The checks that did not succeed, and what the suite says of each.
    pub(crate) fn failures(&self) -> BTreeSet<String> {
        let failed = self.0.iter().filter(|(_, check)| check.status >= Outcome::Warning);
        failed.map(|(name, check)| told(name, check)).collect()
    }

    /// The ids of the checks that succeeded.
    pub(crate) fn successes(&self) -> BTreeSet<&str> {
        let succeeded = self.0.values().filter(|check| check.status == Outcome::Success);
        succeeded.map(|check| check.id.as_str()).collect()
    }

    /// What is lost where this verdict should be as good as `direct`: the checks that succeeded there and not here.
    ///
    /// Where a server has a choice, the suite gives information in place of success, which is no loss; and it says so
    /// and does not go on where an answer is JSON and no stream, as answers may be.
    pub(crate) fn lost_from(&self, direct: &Self) -> BTreeSet<String> {
        let succeeded = direct.0.iter().filter(|(_, check)| check.status == Outcome::Success);
        let lost = succeeded.filter_map(|(name, _)| match self.0.get(name) {
            Some(check) if matches!(check.status, Outcome::Info | Outcome::Success) => None,
            Some(check) => Some(told(name, check)),
            None if self.goes_another_way(name, direct) => None,
            None => Some(format!("{name} (not reached)")),
        });
        lost.collect()
    }

    /// Whether the scenario of `check` ended with information that it did not give for `direct`.
    fn goes_another_way(&self, check: &str, direct: &Self) -> bool {
        let (scenario, _) = check.split_once(": ").expect("a check's name begins with its scenario");
        let informed = self.0.iter().filter(|(name, check)| {
            check.status == Outcome::Info && name.split_once(": ").is_some_and(|(other, _)| other == scenario)
        });
        informed.into_iter().any(|(name, _)| !direct.0.contains_key(name))
    }
}

fn told(name: &str, check: &Check) -> String {
    format!("{name} ({:?}: {})", check.status, check.error.as_deref().unwrap_or_default())
}

/// Runs all server scenarios of `revision` against `url`; for 2026-07-28 those of the tasks extension too.
pub(crate) async fn judge_server(url: &str, revision: &str) -> Verdict {
    let scenarios: &[&str] = match revision {
        "2026-07-28" => &["--requirements", revision],
        _ => &["--suite", "all", "--spec-version", revision],
    };
    run(&[&["server", "--url", url], scenarios].concat(), "server-").await
}

/// Runs one server scenario against `url`.
pub(crate) async fn judge_scenario(url: &str, scenario: &str, revision: &str) -> Verdict {
    run(&["server", "--url", url, "--scenario", scenario, "--spec-version", revision], "server-").await
}

/// Runs a client scenario, in which `client` is the client: it gets what the suite tells one.
pub(crate) async fn judge_client<C, F>(scenario: &str, revision: &str, client: C) -> Verdict
where
    C: Fn(Task) -> F + Clone + Send + Sync + 'static,
    F: Future<Output = Result<(), String>> + Send,
{
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let waiting = format!("http://{}/", listener.local_addr().unwrap());
    let act = move |body: axum::body::Bytes| {
        let client = client.clone();
        async move {
            match client(serde_json::from_slice(&body).expect("a task is JSON")).await {
                Ok(()) => (http::StatusCode::OK, "done".to_owned()),
                Err(error) => (http::StatusCode::INTERNAL_SERVER_ERROR, error),
            }
        }
    };
    let app = axum::Router::new().route("/", axum::routing::post(act));
    let server = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let command = format!("{} {} {waiting}", node22().display(), source("conformance_client.mjs").display());
    let verdict = run(&["client", "--command", &command, "--scenario", scenario, "--spec-version", revision], "").await;
    server.abort();
    verdict
}

/// What the suite tells a client.
#[derive(Debug, Deserialize)]
pub(crate) struct Task {
    /// The address of the suite's server.
    pub(crate) server: String,
    /// What else the scenario has to say.
    pub(crate) context: serde_json::Value,
}

async fn run(arguments: &[&str], prefix: &str) -> Verdict {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(node22());
    command.arg(installed("conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js"));
    command.args(arguments).arg("--output-dir").arg(folder.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
    let output = tokio::time::timeout(SUITE_PATIENCE, command.output()).await.expect("the suite ends in time").unwrap();
    let mut verdict = read(folder.path(), prefix);
    if verdict.0.is_empty() {
        let said = [output.stdout, output.stderr].concat();
        let error = Some(String::from_utf8_lossy(&said).into_owned());
        let nothing = Check { id: String::new(), name: String::new(), status: Outcome::Failure, error };
        verdict.0.insert("nothing was checked".to_owned(), nothing);
    }
    verdict
}

/// Each scenario has a folder, named after it and the time, with `checks.json` in it.
fn read(folder: &Path, prefix: &str) -> Verdict {
    let mut verdict = Verdict::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let scenario = scenario(path.file_name().unwrap().to_str().unwrap(), prefix).to_owned();
        // A scenario that could not begin leaves its folder empty.
        let Ok(checks) = std::fs::read(path.join("checks.json")) else { continue };
        let checks: Vec<Check> = serde_json::from_slice(&checks).unwrap_or_else(|error| panic!("{scenario}: {error}"));
        for check in checks {
            let name = format!("{scenario}: {} {}", check.id, check.name);
            if verdict.0.get(&name).is_none_or(|known| known.status < check.status) {
                verdict.0.insert(name, check);
            }
        }
    }
    verdict
}

/// `tools-list` of `server-tools-list-2026-11-22T12-54-41-246Z`.
fn scenario<'a>(folder: &'a str, prefix: &str) -> &'a str {
    const TIME: usize = "-2026-11-22T12-54-41-246Z".len();
    let name = folder.strip_prefix(prefix).unwrap_or(folder);
    &name[..name.len() - TIME]
}
