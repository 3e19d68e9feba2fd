//! `toolgate explain`: asks a running gateway why a key may or may not use a server or a tool.

use std::io::BufRead;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use serde_json::{Value, json};

use super::output::Output;
use super::tools::target;
use super::{Exit, Failure, runtime};
use crate::config::Environment;
use crate::telemetry::printable::printable;

const TIMEOUT: Duration = Duration::from_secs(30);

const MAX_BODY_BYTES: usize = 1024 * 1024;

/// Below the gateway's address.
const PATH: &str = "/v1/mcp/access/explain";

/// Options of `toolgate explain`.
#[derive(Debug, clap::Args)]
pub struct ExplainArgs {
    /// The server, by id, name or alias; without it, how much the key reaches
    server: Option<String>,

    /// One of its tools
    #[arg(requires = "server")]
    tool: Option<String>,

    /// The key that is asked about, by alias or hash, - to read the key itself from standard input [default: your own]
    #[arg(long, value_name = "KEY")]
    of: Option<String>,

    /// As if at the endpoint of this toolset
    #[arg(long, value_name = "NAME")]
    toolset: Option<String>,

    /// As if from this address
    #[arg(long, value_name = "ADDRESS")]
    client_ip: Option<std::net::IpAddr>,

    /// The gateway's URL [default: GW_URL, LITELLM_PROXY_URL or http://127.0.0.1:4000/mcp]
    #[arg(long)]
    url: Option<String>,

    /// Your key, an admin's to ask about others [default: GW_API_KEY, LITELLM_PROXY_API_KEY or LITELLM_MASTER_KEY]
    #[arg(long)]
    key: Option<String>,

    /// Print JSON, and failures as one line of JSON on standard error
    #[arg(long)]
    json: bool,
}

impl ExplainArgs {
    /// Whether failures are to be JSON too.
    pub(super) fn wants_json(&self) -> bool {
        self.json
    }
}

/// Asks, and prints the answer. [`Exit::Denied`] when the key may not.
///
/// # Errors
/// A wrong command line, a gateway that does not answer, a key that is refused.
pub fn run(args: &ExplainArgs, environment: &Environment, output: &Output) -> Result<Exit, Failure> {
    let gateway = target::gateway(args.url.as_deref(), args.key.as_deref(), environment)?;
    if let Some(note) = &gateway.note {
        output.note(note);
    }
    let of = match args.of.as_deref() {
        Some("-") => Some(first_line(std::io::stdin().lock())?),
        of => of.map(str::to_owned),
    };
    let asked = json!({
        "key": of,
        "server": args.server,
        "tool": args.tool,
        "toolset": args.toolset,
        "client_ip": args.client_ip,
    });
    let mut request = Request::post(address(&gateway.url)).header(header::CONTENT_TYPE, "application/json");
    if let Some(key) = &gateway.key {
        request = request.header(header::AUTHORIZATION, key);
    }
    let request = request.body(Full::from(asked.to_string()));
    let request = request.map_err(|error| Failure::new(Exit::Usage, "url", error.to_string()))?;
    let (status, body) = runtime::block_on(async {
        match tokio::time::timeout(TIMEOUT, ask(request)).await {
            Ok(answer) => answer.map_err(|error| unreachable(&gateway.url, &format!("{error:#}"))),
            Err(_) => Err(unreachable(&gateway.url, &format!("nothing within {TIMEOUT:?}"))),
        }
    })?;
    let told: Value = serde_json::from_slice(&body).unwrap_or_default();
    if status != StatusCode::OK {
        return Err(refused(status, &told));
    }
    output.line(&if args.json { told.to_string() } else { shown(&told) })?;
    Ok(if told["allowed"] == json!(false) || !told["refused"].is_null() { Exit::Denied } else { Exit::Ok })
}

async fn ask(request: Request<Full<Bytes>>) -> anyhow::Result<(StatusCode, Bytes)> {
    let connector = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
        .https_or_http()
        .enable_http1()
        .build();
    let answer = Client::builder(TokioExecutor::new()).build(connector).request(request).await?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), MAX_BODY_BYTES).collect().await.map_err(anyhow::Error::from_boxed)?;
    Ok((status, body.to_bytes()))
}

/// The gateway's own routes lie beside `/mcp`.
fn address(url: &url::Url) -> String {
    let mut url = url.clone();
    let path = url.path().trim_end_matches('/');
    let path = format!("{}{PATH}", path.strip_suffix("/mcp").unwrap_or(path));
    url.set_path(&path);
    url.set_query(None);
    url.to_string()
}

fn first_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn unreachable(url: &url::Url, why: &str) -> Failure {
    Failure::new(Exit::Unreachable, "unreachable", format!("no gateway answers at {url}: {why}"))
        .hint("is it running? name another one with --url or GW_URL")
}

fn refused(status: StatusCode, told: &Value) -> Failure {
    let (exit, code) = match status {
        StatusCode::UNAUTHORIZED => (Exit::Auth, "unauthorized"),
        StatusCode::FORBIDDEN => (Exit::Denied, "forbidden"),
        StatusCode::NOT_FOUND => (Exit::NotFound, "not-found"),
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => (Exit::Usage, "usage"),
        status if status.is_server_error() => (Exit::Unreachable, "unreachable"),
        _ => (Exit::Unexpected, "server"),
    };
    let message = told["error"]["message"].as_str().or_else(|| told["detail"]["message"].as_str());
    Failure::new(exit, code, message.map_or_else(|| format!("the gateway answered HTTP {status}"), printable_line))
}

fn printable_line(text: &str) -> String {
    printable(text).replace(['\n', '\t'], " ")
}

/// The steps line by line, the first denial marked, and what would grant it.
fn shown(told: &Value) -> String {
    let text = |value: &Value| printable_line(value.as_str().unwrap_or_default());
    let mut lines = Vec::new();
    if !told["refused"].is_null() {
        lines.push(format!("the key is let in nowhere: {}", text(&told["refused"])));
    }
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    if let Some(reach) = told.get("reach") {
        lines.push(format!("{} servers are reached", reach["servers"]));
        lines.extend(list(&reach["steps"]).iter().map(|step| format!("  {}", text(&step["text"]))));
        return lines.join("\n");
    }
    lines.push(if told["allowed"] == json!(true) { "allowed" } else { "denied" }.to_owned());
    for (index, step) in list(&told["steps"]).iter().enumerate() {
        let mark = if told["first_denial"].as_u64() == Some(index as u64) { ">" } else { " " };
        let effect = match step["effect"].as_str() {
            Some("says_nothing") | None => "-".to_owned(),
            Some(effect) => printable_line(effect),
        };
        lines.push(format!(
            "{mark} {:>2}. {effect:<6}  {:<12}  {}",
            index + 1,
            text(&step["level"]),
            text(&step["text"])
        ));
    }
    for (index, remedy) in list(&told["would_grant"]).iter().enumerate() {
        lines.push(format!("{} {}", if index == 0 { "to grant it:" } else { "        and:" }, text(remedy)));
    }
    for other in list(&told["other_servers"]) {
        lines.push(format!("server `{}` goes by the same name; ask for it by its id", text(&other)));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gateways_routes_lie_beside_its_mcp_endpoint() {
        let cases = [
            ("http://h:4000/mcp", "http://h:4000/v1/mcp/access/explain"),
            ("https://h/gate/mcp/?x=1", "https://h/gate/v1/mcp/access/explain"),
            ("https://h/gate", "https://h/gate/v1/mcp/access/explain"),
        ];
        for (url, expected) in cases {
            assert_eq!(address(&url.parse().unwrap()), expected);
        }
    }

    #[test]
    fn the_first_denial_is_marked_and_what_a_server_is_called_cannot_write_on_the_terminal() {
        let told = json!({
            "refused": null, "allowed": false, "first_denial": 1, "would_grant": ["add it", "and that"],
            "steps": [
                { "effect": "grants", "level": "key", "text": "the key names it" },
                { "effect": "denies", "level": "team", "text": "team `a\u{1b}[2J` does not" },
            ],
        });
        let shown = shown(&told);
        assert!(shown.contains("\n>  2. denies  team          team `a"), "{shown}");
        assert!(shown.ends_with("to grant it: add it\n        and: and that"), "{shown}");
        assert!(!shown.contains('\u{1b}'), "{shown}");
    }
}
