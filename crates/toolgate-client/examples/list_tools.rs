//! Lists the tools of any MCP server, over any transport.
//!
//! ```text
//! cargo run -p toolgate-client --example list_tools -- http://127.0.0.1:4000/mcp [BEARER_TOKEN]
//! cargo run -p toolgate-client --example list_tools -- npx -y @modelcontextprotocol/server-everything
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its result")]
#![expect(clippy::disallowed_methods, reason = "an example is a whole program: its environment is its own to read")]

use anyhow::Context as _;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use toolgate_client::{
    Format, HttpClient, HttpKind, HttpTarget, Options, Session, StdioTarget, Target, TlsOptions, load_mcp_tools,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let server = args.next().context("give the URL of a server, or a command that starts one")?;
    let session = Session::connect(target(server, args.collect())?, Options::default()).await?;

    let facts = session.server();
    println!("{} speaks MCP {} over {}", session.name(), facts.revision, facts.transport.name());
    for tool in load_mcp_tools(&session, Format::Mcp).await? {
        println!("{}: {}", tool["name"].as_str().unwrap_or("?"), tool["description"].as_str().unwrap_or(""));
    }
    session.close().await;
    Ok(())
}

fn target(server: String, mut args: Vec<String>) -> anyhow::Result<Target> {
    if !server.starts_with("http://") && !server.starts_with("https://") {
        // A child inherits nothing; most programs need at least these two.
        let kept = ["PATH", "HOME"].into_iter();
        let env = kept.filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?))).collect();
        return Ok(Target::Stdio(StdioTarget { command: server, args, env, cwd: None }));
    }
    let mut headers = HeaderMap::new();
    if let Some(token) = args.pop() {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let client = HttpClient::new(&TlsOptions::default())?;
    Ok(Target::Http(HttpTarget { url: server.parse()?, headers, authorizer: None, kind: HttpKind::Detect, client }))
}
