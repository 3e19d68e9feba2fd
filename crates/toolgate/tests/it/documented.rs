//! What `docs/clients.md` tells users to put into their clients' files: each entry leads to the gateway, with a header that
//! lets its user in.

use serde_json::Value;

use crate::support::{Caller, FakeMcp, MASTER_KEY, TestGateway, config, script};

const CLIENTS: &str = include_str!("../../../../docs/clients.md");

/// The address of a gateway in the documentation.
const DOCUMENTED: &str = "http://127.0.0.1:4000";

/// The fenced blocks in this language, each with its heading.
fn blocks(language: &str) -> Vec<(&'static str, &'static str)> {
    let sections = CLIENTS.split("\n## ").skip(1);
    let of_section = |section: &'static str| {
        let heading = section.lines().next().unwrap_or_default();
        section.split("```").skip(1).step_by(2).map(move |block| (heading, block))
    };
    let in_language = |(heading, block): (&'static str, &'static str)| {
        Some((heading, block.strip_prefix(language)?.strip_prefix('\n')?))
    };
    sections.flat_map(of_section).filter_map(in_language).collect()
}

/// Where an entry leads, and the header that it sends.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    url: String,
    header: (String, String),
}

/// The ways in a client's file; clients call the same things by different names.
fn ways(file: &Value) -> Vec<Way> {
    let servers = file.get("mcpServers").or_else(|| file.get("servers")).expect("it has servers").as_object().unwrap();
    servers.values().map(way).collect()
}

fn way(entry: &Value) -> Way {
    if let Some(args) = entry["args"].as_array() {
        // `mcp-remote` takes them on its command line, and puts in what is in its environment.
        let args: Vec<&str> = args.iter().map(|arg| arg.as_str().unwrap()).collect();
        let at = args.iter().position(|arg| *arg == "--header").expect("it sends a header");
        let (name, value) = args[at + 1].split_once(':').unwrap();
        let variable = value.strip_prefix("${").and_then(|value| value.strip_suffix('}')).expect("it is a variable");
        let value = entry["env"][variable].as_str().expect("the variable is set").to_owned();
        let url = args.iter().find(|arg| arg.starts_with("http")).expect("it leads somewhere");
        return Way { url: (*url).to_owned(), header: (name.to_owned(), value) };
    }
    let url = ["url", "httpUrl", "serverUrl"].into_iter().find_map(|key| entry[key].as_str()).expect("it has a URL");
    let headers = entry["headers"].as_object().expect("it has headers");
    assert_eq!(headers.len(), 1, "{entry}");
    let (name, value) = headers.iter().next().unwrap();
    Way { url: url.to_owned(), header: (name.clone(), value.as_str().unwrap().to_owned()) }
}

/// The value of a line of TOML.
fn toml_text<'a>(block: &'a str, key: &str) -> &'a str {
    let value = block.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix('=')).expect("the key");
    value.trim().trim_matches('"')
}

#[tokio::test]
async fn every_clients_file_leads_to_the_gateway() {
    let server = FakeMcp::start(script().tools(&["read"])).await;
    let gate = TestGateway::start(config().server("files", server.entry())).await;
    let mut all: Vec<(&str, Way)> = Vec::new();
    for (heading, block) in blocks("json") {
        let file = serde_json::from_str(block).unwrap_or_else(|error| panic!("{heading}: {error}"));
        all.extend(ways(&file).into_iter().map(|way| (heading, way)));
    }
    for (heading, block) in blocks("toml") {
        assert_eq!(toml_text(block, "bearer_token_env_var"), "TOOLGATE_KEY", "{heading}");
        let header = ("Authorization".to_owned(), "Bearer $TOOLGATE_KEY".to_owned());
        all.push((heading, Way { url: toml_text(block, "url").to_owned(), header }));
    }
    assert_eq!(all.len(), 8, "{all:#?}");
    for (heading, Way { url, header: (name, value) }) in all {
        let path = url.strip_prefix(DOCUMENTED).unwrap_or_else(|| panic!("{heading}: {url}"));
        // However a client takes the key from elsewhere, this stands in its place.
        let value = value.strip_prefix("Bearer ").unwrap_or_else(|| panic!("{heading}: {value}"));
        let places = ["${TOOLGATE_KEY}", "${env:TOOLGATE_KEY}", "${input:toolgate-key}", "$TOOLGATE_KEY", "sk-..."];
        assert!(places.contains(&value), "{heading}: {value}");
        let caller: Caller = gate.anonymous().with(&name, &format!("Bearer {MASTER_KEY}")).initialized_at(path).await;
        assert_eq!(caller.tool_names().await, ["files-read"], "{heading}");
    }
}
