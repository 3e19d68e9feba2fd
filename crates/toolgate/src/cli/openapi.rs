//! `toolgate openapi preview`: what an OpenAPI document becomes, before anybody configures it.

use std::time::Duration;

use toolgate_mcp::jsonrpc::quote;
use toolgate_openapi::{Api, Operation};
use url::Url;

use super::output::Output;
use super::{Exit, Failure, runtime};
use crate::config::settings::{OpenApiSettings, TlsSettings};
use crate::telemetry::printable::printable;
use crate::upstream::openapi::preview;

/// Options of `toolgate openapi`.
#[derive(Debug, clap::Args)]
pub struct OpenApiArgs {
    #[command(subcommand)]
    command: OpenApiCommand,
}

#[derive(Debug, clap::Subcommand)]
enum OpenApiCommand {
    /// Print the tools of a document, and what is left out and why
    Preview(PreviewArgs),
}

#[derive(Debug, clap::Args)]
struct PreviewArgs {
    /// The document: a path or URL
    spec: String,

    /// Where the API is, if not where the document says
    #[arg(long)]
    url: Option<Url>,

    /// Only operations with this tag; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    tags: Vec<String>,

    /// Only operations with this method; may be repeated
    #[arg(long = "method", value_name = "METHOD")]
    methods: Vec<String>,

    /// Only operations on these paths: * is within a segment, ** beyond it; may be repeated
    #[arg(long = "path", value_name = "GLOB")]
    paths: Vec<String>,

    /// How long a document may take to come, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    timeout: u64,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl OpenApiArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        let OpenApiCommand::Preview(args) = &self.command;
        args.json
    }
}

/// Reads the document and prints what comes of it.
///
/// # Errors
/// When the document cannot be read, or is no description of an API.
pub fn run(args: &OpenApiArgs, output: &Output) -> Result<Exit, Failure> {
    let OpenApiCommand::Preview(args) = &args.command;
    let settings = OpenApiSettings {
        select: toolgate_openapi::Select {
            tags: args.tags.clone(),
            methods: args.methods.clone(),
            paths: args.paths.clone(),
        },
        ..OpenApiSettings::default()
    };
    let timeout = Duration::from_secs(args.timeout);
    let api = runtime::block_on(async {
        let tls = TlsSettings::default();
        let read = tokio::time::timeout(timeout, preview(&args.spec, args.url.clone(), &settings, &tls)).await;
        let read = read.unwrap_or_else(|_| Err(format!("it did not come within {} s", args.timeout)));
        read.map_err(|why| Failure::new(Exit::ConfigInvalid, "openapi", format!("`{}`: {why}", args.spec)))
    })?;
    output.line(&if args.json { as_json(&api) } else { as_text(&api) })?;
    Ok(Exit::Ok)
}

/// `{"tools": [{"method", "path", "tool"}], "left_out": [{"method", "path", "reason"}]}`
pub(super) fn as_json(api: &Api) -> String {
    let tool = |one: &Operation| {
        format!("{{\"method\":{},\"path\":{},\"tool\":{}}}", quote(&one.method), quote(&one.path), one.tool())
    };
    let tools: Vec<String> = api.operations.iter().map(tool).collect();
    let left_out: Vec<String> = api
        .left_out
        .iter()
        .map(|one| {
            let (method, path, reason) = (quote(&one.method), quote(&one.path), quote(&one.reason));
            format!("{{\"method\":{method},\"path\":{path},\"reason\":{reason}}}")
        })
        .collect();
    format!("{{\"tools\":[{}],\"left_out\":[{}]}}", tools.join(","), left_out.join(","))
}

/// A table of the tools, and below it what is left out.
pub(super) fn as_text(api: &Api) -> String {
    let mut lines = Vec::new();
    match &api.base {
        Ok(base) => lines.push(format!("requests go to {}", printable(base.as_str()))),
        Err(why) => lines.push(format!("no tool can be called: {}", printable(why))),
    }
    let names = api.operations.iter().map(|one| one.name.len()).max().unwrap_or_default().max("TOOL".len());
    lines.push(format!("{:names$}  {:7}  PATH", "TOOL", "METHOD"));
    for one in &api.operations {
        lines.push(format!("{:names$}  {:7}  {}", one.name, one.method, printable(&one.path)));
        lines.extend(one.notes.iter().map(|note| format!("  note: {}", printable(note))));
    }
    let (tools, left_out) = (api.operations.len(), api.left_out.len());
    lines.push(format!("{}, {} left out", counted(tools, "tool"), counted(left_out, "operation")));
    for one in &api.left_out {
        lines.push(format!("  {} {}: {}", one.method, printable(&one.path), printable(&one.reason)));
    }
    lines.join("\n")
}

fn counted(count: usize, what: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {what}{plural}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{OpenApiArgs, OpenApiCommand, PreviewArgs, run};
    use crate::cli::Exit;
    use crate::cli::output::Output;

    fn preview(text: &str, json: bool) -> (Result<Exit, Exit>, Vec<String>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api.yaml");
        std::fs::write(&path, text).unwrap();
        let args = PreviewArgs {
            spec: path.display().to_string(),
            url: None,
            tags: Vec::new(),
            methods: Vec::new(),
            paths: Vec::new(),
            timeout: 30,
            json,
        };
        let output = Output::kept();
        let done = run(&OpenApiArgs { command: OpenApiCommand::Preview(args) }, &output);
        (done.map_err(|failure| failure.exit), output.lines())
    }

    const API: &str = "openapi: 3.0.0\nservers: [{url: 'https://api.test'}]\npaths: {/a: {get: {operationId: getA}, post: {$ref: '#/no'}}}";

    #[test]
    fn programs_get_the_tools_and_what_is_left_out() {
        let (done, lines) = preview(API, true);
        assert_eq!(done, Ok(Exit::Ok));
        let printed: Value = serde_json::from_str(&lines.concat()).unwrap();
        assert_eq!((&printed["tools"][0]["method"], &printed["tools"][0]["path"]), (&json!("GET"), &json!("/a")));
        assert_eq!(printed["tools"][0]["tool"]["name"], "geta");
        let left_out = json!([{"method": "POST", "path": "/a", "reason": "`$ref: #/no` leads to nothing"}]);
        assert_eq!(printed["left_out"], left_out);
    }

    #[test]
    fn people_get_a_table() {
        let (_, lines) = preview(API, false);
        insta::assert_snapshot!(lines.concat(), @r"
        requests go to https://api.test/
        TOOL  METHOD   PATH
        geta  GET      /a
        1 tool, 1 operation left out
          POST /a: `$ref: #/no` leads to nothing
        ");
    }

    #[test]
    fn what_is_no_description_is_an_error() {
        assert_eq!(preview("<html></html>", true).0, Err(Exit::ConfigInvalid));
    }
}
