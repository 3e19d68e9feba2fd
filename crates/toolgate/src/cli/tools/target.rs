//! Which server `toolgate tools` speaks with, and with which key.

use std::io::BufRead;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use toolgate_client::{HttpClient, HttpKind, HttpTarget, StdioTarget, Target, TlsOptions};
use url::{Host, Url};

use crate::cli::{Exit, Failure};
use crate::config::Environment;

const DEFAULT_URL: &str = "http://127.0.0.1:4000/mcp";

/// Variables that name the gateway.
const URLS: [&str; 2] = ["GW_URL", "LITELLM_PROXY_URL"];

/// Variables that hold a key for calling a gateway, in the order in which they count.
const KEYS: [&str; 2] = ["GW_API_KEY", "LITELLM_PROXY_API_KEY"];

/// The gateway's own key: it goes to this machine, or to the gateway that the environment names, and nowhere else.
const MASTER_KEY: &str = "LITELLM_MASTER_KEY";

/// Options that say where the server is.
#[derive(Debug, clap::Args)]
pub(super) struct TargetArgs {
    /// The server's URL; /mcp is added to one without a path
    /// [default: GW_URL, LITELLM_PROXY_URL or http://127.0.0.1:4000/mcp]
    #[arg(long)]
    url: Option<String>,

    /// The key, - to read it from standard input [default: GW_API_KEY, LITELLM_PROXY_API_KEY or LITELLM_MASTER_KEY]
    #[arg(long)]
    key: Option<String>,

    /// Only the tools of these servers behind the gateway, by name, separated by commas
    #[arg(long, value_name = "NAMES")]
    server: Option<String>,

    /// Start this program and speak with it over stdio; its arguments follow after --
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["url", "key", "server"])]
    command: Option<String>,

    /// Arguments of --command
    #[arg(last = true, requires = "command", value_name = "ARGUMENTS")]
    command_args: Vec<String>,
}

/// A server to speak with.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) target: Target,
    /// Whether a key goes along; failures read differently then.
    pub(super) has_key: bool,
    /// Something the user should know.
    pub(super) note: Option<String>,
}

/// A gateway, as others of its routes than MCP's are asked.
pub(in crate::cli) struct Gateway {
    /// Of its MCP endpoint.
    pub(in crate::cli) url: Url,
    /// The value of `Authorization`.
    pub(in crate::cli) key: Option<HeaderValue>,
    /// Something the user should know.
    pub(in crate::cli) note: Option<String>,
}

/// Works out the gateway from `--url`, `--key` and the environment.
pub(in crate::cli) fn gateway(
    url: Option<&str>,
    flag: Option<&str>,
    environment: &Environment,
) -> Result<Gateway, Failure> {
    let text = url.or_else(|| URLS.into_iter().find_map(|name| environment.get(name)));
    let parsed = parse_url(text.unwrap_or(DEFAULT_URL))?;
    let (key, note) = key(flag, environment, &parsed, url.is_none())?;
    Ok(Gateway { url: parsed, key: key.as_deref().map(bearer).transpose()?, note })
}

/// Works out the server from the options and the environment.
pub(super) fn resolve(args: &TargetArgs, environment: &Environment) -> Result<Place, Failure> {
    if let Some(command) = &args.command {
        let passed = environment.iter().filter(|(name, _)| *name != MASTER_KEY && !KEYS.contains(name));
        let env = passed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let target = StdioTarget { command: command.clone(), args: args.command_args.clone(), env, cwd: None };
        return Ok(Place { target: Target::Stdio(target), has_key: false, note: None });
    }
    let Gateway { url, key, note } = gateway(args.url.as_deref(), args.key.as_deref(), environment)?;
    let mut headers = HeaderMap::new();
    if let Some(key) = &key {
        headers.insert(header::AUTHORIZATION, key.clone());
    }
    if let Some(servers) = &args.server {
        let value = HeaderValue::try_from(servers).map_err(|_| usage("--server takes names, separated by commas"))?;
        headers.insert(HeaderName::from_static("x-mcp-servers"), value);
    }
    let client = HttpClient::new(&TlsOptions::default()).map_err(|error| super::failure::of_client(&error, false))?;
    let target = HttpTarget { url, headers, authorizer: None, kind: HttpKind::Detect, client };
    Ok(Place { target: Target::Http(target), has_key: key.is_some(), note })
}

fn parse_url(text: &str) -> Result<Url, Failure> {
    let wrong = |why: String| {
        Failure::new(Exit::Usage, "url", format!("`{text}` is not the URL of an MCP server: {why}"))
            .hint(format!("write it like {DEFAULT_URL}"))
    };
    let mut url = Url::parse(text).map_err(|error| wrong(error.to_string()))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("it must begin with http:// or https://".to_owned()));
    }
    if matches!(url.path(), "" | "/") {
        url.set_path("/mcp");
    }
    Ok(url)
}

/// The key, and a note where one was held back.
fn key(
    flag: Option<&str>,
    environment: &Environment,
    url: &Url,
    from_environment: bool,
) -> Result<(Option<String>, Option<String>), Failure> {
    match flag {
        Some("-") => return Ok((Some(first_line(std::io::stdin().lock())?), None)),
        Some(key) => return Ok((Some(key.to_owned()), None)),
        None => {}
    }
    if let Some(key) = KEYS.into_iter().find_map(|name| environment.get(name)) {
        return Ok((Some(key.to_owned()), None));
    }
    let Some(master) = environment.get(MASTER_KEY) else { return Ok((None, None)) };
    if from_environment || is_loopback(url) {
        return Ok((Some(master.to_owned()), None));
    }
    let host = url.host_str().unwrap_or_default();
    Ok((None, Some(format!("note: {MASTER_KEY} is not sent to {host}; give it with --key if that is your gateway"))))
}

fn first_line(mut input: impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    input.read_line(&mut line)?;
    let key = line.trim();
    if key.is_empty() { Err(usage("--key - finds no key on standard input")) } else { Ok(key.to_owned()) }
}

fn bearer(key: &str) -> Result<HeaderValue, Failure> {
    let value = HeaderValue::try_from(format!("Bearer {key}"));
    let mut value = value.map_err(|_| usage("the key has characters that cannot be sent, such as a line break"))?;
    value.set_sensitive(true);
    Ok(value)
}

fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

fn usage(message: &str) -> Failure {
    Failure::new(Exit::Usage, "usage", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(url: Option<&str>, key: Option<&str>) -> TargetArgs {
        TargetArgs {
            url: url.map(str::to_owned),
            key: key.map(str::to_owned),
            server: None,
            command: None,
            command_args: Vec::new(),
        }
    }

    /// The URL and the key that come of these options and variables.
    fn resolved(args: &TargetArgs, variables: &[(&str, &str)]) -> (String, Option<String>, bool) {
        let place = resolve(args, &variables.iter().copied().collect()).expect("a server");
        let Target::Http(target) = place.target else { panic!("not over HTTP") };
        let key = target.headers.get(header::AUTHORIZATION).map(|key| key.to_str().expect("ASCII").to_owned());
        (target.url.to_string(), key, place.note.is_some())
    }

    #[test]
    fn options_go_before_variables_and_ours_before_litellms() {
        let all = [
            ("GW_URL", "http://gw"),
            ("LITELLM_PROXY_URL", "http://lite"),
            ("GW_API_KEY", "a"),
            ("LITELLM_PROXY_API_KEY", "b"),
            ("LITELLM_MASTER_KEY", "c"),
        ];
        let check = |args: TargetArgs, variables: &[(&str, &str)], url: &str, key: Option<&str>| {
            let key = key.map(|key| format!("Bearer {key}"));
            assert_eq!(resolved(&args, variables), (url.to_owned(), key, false));
        };
        check(args(Some("https://x/y/mcp"), Some("k")), &all, "https://x/y/mcp", Some("k"));
        check(args(None, None), &all, "http://gw/mcp", Some("a"));
        check(args(None, None), &[("GW_URL", ""), all[1], all[3]], "http://lite/mcp", Some("b"));
        check(args(None, None), &all[4..], DEFAULT_URL, Some("c"));
        check(args(None, None), &[], DEFAULT_URL, None);
    }

    #[test]
    fn the_master_key_does_not_travel_to_a_server_that_is_not_ours() {
        let master = [("LITELLM_MASTER_KEY", "sk-master")];
        assert_eq!(resolved(&args(Some("https://elsewhere/mcp"), None), &master).1, None);
        assert!(resolved(&args(Some("https://elsewhere/mcp"), None), &master).2, "it says so");
        assert!(resolved(&args(Some("http://localhost:4000"), None), &master).1.is_some());
        assert!(resolved(&args(None, None), &[("GW_URL", "https://gw.corp/mcp"), master[0]]).1.is_some());
    }

    #[test]
    fn wrong_urls_and_keys_are_usage_errors() {
        for (url, key) in [("127.0.0.1:4000", "k"), ("ftp://x/mcp", "k"), ("http://x", "a\nb")] {
            let failure = resolve(&args(Some(url), Some(key)), &Environment::default()).expect_err("wrong");
            assert_eq!(failure.exit, Exit::Usage, "{failure}");
            assert!(!failure.message.contains("a\nb"), "{failure}");
        }
    }

    #[test]
    fn a_key_is_read_from_the_first_line() {
        assert_eq!(first_line(&b" sk-1 \r\nrest"[..]), Ok("sk-1".to_owned()));
        assert!(first_line(&b"\n"[..]).is_err());
    }
}
