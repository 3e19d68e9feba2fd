//! Carries out one tool call as an OpenAI model answers it.
//!
//! ```text
//! cargo run -p toolgate-client --example openai_tool_call -- http://127.0.0.1:4000/mcp demo-add '{"a": 1, "b": 2}' [BEARER_TOKEN]
//! ```

#![expect(clippy::print_stdout, reason = "an example shows its result")]

use anyhow::bail;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use serde_json::json;
use toolgate_client::{
    Format, HttpClient, HttpKind, HttpTarget, Options, Session, Target, TlsOptions, call_openai_tool, load_mcp_tools,
};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(url), Some(name), Some(arguments)) = (args.next(), args.next(), args.next()) else {
        bail!(
            "give the URL of a server, the name of a tool, its arguments as JSON, and the server's key if it has one"
        );
    };
    let mut headers = HeaderMap::new();
    if let Some(token) = args.next() {
        let mut value = HeaderValue::try_from(format!("Bearer {token}"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let target = Target::Http(HttpTarget {
        url: url.parse()?,
        headers,
        authorizer: None,
        kind: HttpKind::Detect,
        client: HttpClient::new(&TlsOptions::default())?,
    });
    let session = Session::connect(target, Options::default()).await?;

    // This list is what a chat completion takes as `tools`.
    let tools = load_mcp_tools(&session, Format::OpenAi).await?;
    println!("{} tools for the model", tools.len());

    // And this is how the model asks for one of them, in `choices[0].message.tool_calls`.
    let tool_call = json!({"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}});
    let result = call_openai_tool(&session, &tool_call).await?;
    println!("{}", serde_json::to_string_pretty(&result)?);
    session.close().await;
    Ok(())
}
