//! Descriptions of REST APIs to tools: how long it takes, and what the process holds at most.

use std::fmt::Write as _;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use crate::process::{self, Memory};
use crate::report::Plan;
use crate::report::stage::Running;

/// Which description.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Description {
    /// GitHub's own, `api.github.com.json` of npm's `@octokit/openapi`; `--description` says where it is.
    GitHub,
    /// One with so many operations.
    MadeUp(u32),
}

/// What came of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Described {
    pub(crate) tools: usize,
    /// From the start of the process to the last byte of the tools.
    pub(crate) took_ms: f64,
}

#[derive(Deserialize)]
struct Preview {
    tools: Vec<serde::de::IgnoredAny>,
    left_out: Vec<serde::de::IgnoredAny>,
}

/// Has `toolgate openapi preview` print the tools, on one core.
pub(crate) fn measure(plan: &Plan, description: Description) -> anyhow::Result<(Described, Memory)> {
    let dir = TempDir::with_prefix("toolgate-bench-").context("cannot make a directory")?;
    let (file, operations) = file(plan, description, dir.path())?;
    let program = plan.toolgate.as_deref().context("no --toolgate was given")?;
    let mut command = crate::launch::command(&program.display().to_string(), plan.gateway_core())?;
    command.args(["openapi", "preview", "--json", "--url", "https://api.test/"]).arg(file).stdout(Stdio::piped());
    let began = Instant::now();
    let mut running = Running::start("toolgate", &mut command, dir.path())?;
    let mut out = running.stdout()?;
    // The tools are printed when all are made, and do not fit into the pipe: with the first byte the most is held.
    let mut printed = vec![0];
    out.read_exact(&mut printed).with_context(|| running.complaint())?;
    let memory = process::memory(&[running.pid()])?;
    out.read_to_end(&mut printed).context("the tools broke off")?;
    let took_ms = began.elapsed().as_secs_f64() * 1e3;
    let preview: Preview = serde_json::from_slice(&printed).context("what was printed is no preview")?;
    let (tools, left_out) = (preview.tools.len(), preview.left_out.len());
    // GitHub's own has an operation at another server, which is no tool.
    ensure!(left_out <= 1, "{tools} tools, and {left_out} operations left out");
    ensure!(tools >= operations as usize, "{tools} tools of {operations} operations");
    Ok((Described { tools, took_ms }, memory))
}

/// The description's file, and the least number of tools that it has.
fn file(plan: &Plan, description: Description, dir: &Path) -> anyhow::Result<(PathBuf, u32)> {
    match description {
        Description::GitHub => {
            let file = plan.description.clone().context("GitHub's description is not there; `bench/run.sh` gets it")?;
            Ok((file, 1_000))
        }
        Description::MadeUp(operations) => {
            let operations = operations / plan.fewer;
            let path = dir.join("made-up.json");
            std::fs::write(&path, made_up(operations)).with_context(|| format!("cannot write {}", path.display()))?;
            Ok((path, operations))
        }
    }
}

/// A description of so many operations, each with a parameter, a body and an answer, whose schemas lead to each other, ten
/// at a time.
fn made_up(operations: u32) -> String {
    let mut text = r#"{"openapi":"3.0.3","paths":{"#.to_owned();
    for number in 0..operations {
        let comma = if number == 0 { "" } else { "," };
        let schema =
            format!(r##"{{"application/json":{{"schema":{{"$ref":"#/components/schemas/Thing{number}"}}}}}}"##);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            r#"{comma}"/things{number}/{{id}}":{{"post":{{"operationId":"doThing{number}","summary":"Does thing {number}","parameters":[{{"name":"id","in":"path","required":true,"schema":{{"type":"integer"}}}}],"requestBody":{{"content":{schema}}},"responses":{{"200":{{"description":"ok","content":{schema}}}}}}}}}"#
        );
    }
    text.push_str(r#"},"components":{"schemas":{"#);
    for number in 0..operations {
        let comma = if number == 0 { "" } else { "," };
        let next = (number / 10 * 10 + (number + 1) % 10).min(operations - 1);
        let _ = write!(
            text,
            r##"{comma}"Thing{number}":{{"type":"object","required":["name"],"properties":{{"name":{{"type":"string"}},"size":{{"type":"number","nullable":true}},"next":{{"$ref":"#/components/schemas/Thing{next}"}}}}}}"##
        );
    }
    text.push_str("}}}");
    text
}

#[cfg(test)]
mod tests {
    use super::made_up;

    #[test]
    fn a_made_up_description_is_json_with_all_its_operations() {
        let read: serde_json::Value = serde_json::from_str(&made_up(23)).unwrap();
        assert_eq!(read["paths"].as_object().unwrap().len(), 23);
        assert_eq!(read["components"]["schemas"].as_object().unwrap().len(), 23);
    }
}
