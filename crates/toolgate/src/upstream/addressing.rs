//! Which server a caller's `x-mcp-{alias}-{header}` is for.
//!
//! The header's name is matched against everything that is configured, the longest first, so `git` never takes what
//! `github` or `git-hub` is meant to get. LiteLLM splits at the first dash instead; since an alias without a dash is
//! then a whole match too, its headers all arrive, and aliases with dashes work besides.

use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::credential::{CredentialError, check_value, single};
use crate::auth::passing;
use crate::config::settings::{ServerSettings, Settings};

const PREFIX: &str = "x-mcp-";
/// Say what the request is about, and are nobody's credential.
const CONTROLS: [&str; 3] = ["x-mcp-servers", "x-mcp-access-groups", "x-mcp-toolset-id"];

/// What is needed to tell whom a credential in a request is for; the same for all servers of one configuration.
#[derive(Debug)]
pub(super) struct Addressing {
    /// Names that a header may carry after `x-mcp-`, lower case, the longest first.
    names: Vec<String>,
    /// `mcp_client_side_auth_header_name`.
    client_auth_header: HeaderName,
}

/// What a caller sent for one server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// Nothing.
    Nothing,
    /// Headers that stand in place of the configured credential.
    Headers(HeaderMap),
    /// One value for all servers, to be put on the wire as the server's `auth_type` says.
    Value(HeaderValue),
}

impl Addressing {
    pub(super) fn new(settings: &Settings) -> Self {
        let mut names: Vec<_> = settings
            .servers
            .iter()
            .flat_map(|server| {
                identifiers(server).into_iter().chain(server.access_groups.iter().flat_map(|group| forms(group)))
            })
            .collect();
        names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        names.dedup();
        Self { names, client_auth_header: settings.general.client_auth_header.clone() }
    }

    /// Whether the request holds any credential that could be for a server; if not, all callers look the same.
    pub(super) fn concerns(&self, headers: &HeaderMap) -> bool {
        headers.keys().any(|name| name.as_str().starts_with(PREFIX) || *name == self.client_auth_header)
    }

    /// What `headers` hold for `server`: its alias first, then its name, then a group that it is in, then the header
    /// for all servers.
    ///
    /// # Errors
    /// When what is meant for this server was sent twice, is too long, or holds control characters.
    pub(super) fn sent(&self, headers: &HeaderMap, server: &ServerSettings) -> Result<Sent, CredentialError> {
        for name in identifiers(server) {
            let found = self.addressed_to(&name, headers, server)?;
            if !found.is_empty() {
                return Ok(Sent::Headers(found));
            }
        }
        if let Some(found) = self.of_groups(headers, server)? {
            return Ok(Sent::Headers(found));
        }
        let Some(value) = single(headers, &self.client_auth_header, &server.name)? else { return Ok(Sent::Nothing) };
        check_value(value, &self.client_auth_header, &server.name)?;
        Ok(Sent::Value(value.clone()))
    }

    /// The credential of an access group, unless two groups of the server bring different ones: then nobody knows
    /// which was meant, and none is sent.
    fn of_groups(&self, headers: &HeaderMap, server: &ServerSettings) -> Result<Option<HeaderMap>, CredentialError> {
        let mut chosen: Option<HeaderMap> = None;
        for group in &server.access_groups {
            for name in forms(group) {
                let found = self.addressed_to(&name, headers, server)?;
                if found.is_empty() {
                    continue;
                }
                if chosen.as_ref().is_some_and(|chosen| *chosen != found) {
                    tracing::debug!(server.name = server.name, "groups bring different credentials; none is sent");
                    return Ok(None);
                }
                chosen = Some(found);
                break;
            }
        }
        Ok(chosen)
    }

    fn addressed_to(
        &self,
        name: &str,
        headers: &HeaderMap,
        server: &ServerSettings,
    ) -> Result<HeaderMap, CredentialError> {
        let mut found = HeaderMap::new();
        for header in headers.keys() {
            let Some((addressee, rest)) = self.split(header) else { continue };
            if addressee != name {
                continue;
            }
            let Ok(target) = HeaderName::try_from(rest) else { continue };
            if passing::is_wire(&target) || passing::is_gateways(&target) {
                tracing::debug!(server.name = server.name, header = rest, "a caller may not set this header upstream");
                continue;
            }
            let Some(value) = single(headers, header, &server.name)? else { continue };
            check_value(value, header, &server.name)?;
            let mut value = value.clone();
            value.set_sensitive(true);
            found.insert(target, value);
        }
        Ok(found)
    }

    /// Splits `x-mcp-{name}-{header}` at the longest configured name.
    fn split<'a>(&'a self, header: &'a HeaderName) -> Option<(&'a str, &'a str)> {
        let header_name = header.as_str();
        if CONTROLS.contains(&header_name) || *header == self.client_auth_header {
            return None;
        }
        let rest = header_name.strip_prefix(PREFIX)?;
        self.names.iter().find_map(|name| {
            let target = rest.strip_prefix(name.as_str())?.strip_prefix('-')?;
            (!target.is_empty()).then_some((name.as_str(), target))
        })
    }
}

/// The names by which a caller may address a server, in the order in which they count.
fn identifiers(server: &ServerSettings) -> Vec<String> {
    server.alias.iter().chain([&server.name]).flat_map(|name| forms(name)).collect()
}

/// A name as it is, and as LiteLLM's dashboard writes it into a header: `[^a-z0-9_]` becomes `_`, once.
fn forms(name: &str) -> Vec<String> {
    let lower = name.to_lowercase();
    let mut clean = String::with_capacity(lower.len());
    for letter in lower.trim().chars() {
        let letter = if letter.is_ascii_lowercase() || letter.is_ascii_digit() { letter } else { '_' };
        if !(letter == '_' && clean.ends_with('_')) {
            clean.push(letter);
        }
    }
    let clean = clean.trim_matches('_').to_owned();
    if clean.is_empty() || clean == lower { vec![lower] } else { vec![lower, clean] }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::{Addressing, CredentialError, Sent, forms};
    use crate::auth::testing::caller;
    use crate::upstream::testing::{http_server, settings};

    fn sent(server: &str, headers: &[(&str, &str)]) -> Result<Vec<String>, CredentialError> {
        let named = |name: &str, alias: Option<&str>, groups: &[&str]| {
            let mut server = http_server(name, "http://127.0.0.1:1/mcp");
            server.alias = alias.map(str::to_owned);
            server.access_groups = groups.iter().map(|group| (*group).to_owned()).collect();
            server
        };
        let settings = settings(vec![
            named("git", None, &["dev"]),
            named("github", Some("gh"), &["dev", "ops"]),
            named("git_hub", Some("git-hub"), &[]),
            named("jira", Some("My Jira  (EU)"), &["ops"]),
        ]);
        let addressing = Addressing::new(&settings);
        let server = settings.servers.iter().find(|known| known.name == server).unwrap();
        Ok(match addressing.sent(&caller(headers).headers, server)? {
            Sent::Nothing => Vec::new(),
            Sent::Value(value) => vec![format!("* {}", value.to_str().unwrap())],
            Sent::Headers(headers) => {
                headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
            }
        })
    }

    #[test]
    fn a_header_reaches_exactly_the_server_it_names() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a [&'a str]);
        let cases: &[Case<'_>] = &[
            (&[("x-mcp-git-authorization", "t")], "git", &["authorization: t"]),
            (&[("x-mcp-git-authorization", "t")], "github", &[]),
            (&[("x-mcp-github-authorization", "t")], "git", &[]),
            (&[("x-mcp-github-authorization", "t")], "github", &["authorization: t"]),
            (&[("x-mcp-gh-x-api-key", "t")], "github", &["x-api-key: t"]),
            (&[("x-mcp-git-hub-authorization", "t")], "git_hub", &["authorization: t"]),
            (&[("x-mcp-git-hub-authorization", "t")], "git", &[]),
            (&[("x-mcp-git_hub-authorization", "t")], "git_hub", &["authorization: t"]),
            (&[("x-mcp-my_jira_eu-authorization", "t")], "jira", &["authorization: t"]),
            // The alias counts before the name.
            (&[("x-mcp-github-a", "1"), ("x-mcp-gh-a", "2")], "github", &["a: 2"]),
            // A group serves its members, one that is addressed itself excepted.
            (&[("x-mcp-dev-authorization", "t")], "git", &["authorization: t"]),
            (&[("x-mcp-dev-authorization", "t")], "jira", &[]),
            (&[("x-mcp-dev-authorization", "t"), ("x-mcp-git-authorization", "u")], "git", &["authorization: u"]),
            (&[("x-mcp-dev-authorization", "t"), ("x-mcp-ops-authorization", "t")], "github", &["authorization: t"]),
            (&[("x-mcp-dev-authorization", "t"), ("x-mcp-ops-authorization", "u")], "github", &[]),
            // The header for all servers comes last.
            (&[("x-mcp-auth", "t")], "git", &["* t"]),
            (&[("x-mcp-auth", "t"), ("x-mcp-git-authorization", "u")], "git", &["authorization: u"]),
            (&[("x-mcp-auth", " ")], "git", &[]),
            // Nobody's.
            (
                &[
                    ("x-mcp-servers", "git"),
                    ("x-mcp-other-authorization", "t"),
                    ("x-mcp-git", "t"),
                    ("x-mcp-git-", "t"),
                ],
                "git",
                &[],
            ),
            // An empty value is no credential.
            (&[("x-mcp-git-authorization", "")], "git", &[]),
            // What no caller may set upstream.
            (
                &[
                    ("x-mcp-git-host", "evil"),
                    ("x-mcp-git-transfer-encoding", "chunked"),
                    ("x-mcp-git-content-length", "0"),
                    ("x-mcp-git-mcp-session-id", "s"),
                    ("x-mcp-git-cookie", "c"),
                    ("x-mcp-git-x-forwarded-for", "f"),
                    ("x-mcp-git-traceparent", "p"),
                    ("x-mcp-git-x-litellm-api-key", "k"),
                    ("x-mcp-git-accept", "text/html"),
                    ("x-mcp-git-x-tenant", "acme"),
                ],
                "git",
                &["x-tenant: acme"],
            ),
        ];
        for (headers, server, expected) in cases {
            let expected: Vec<_> = expected.iter().map(|line| (*line).to_owned()).collect();
            assert_eq!(sent(server, headers), Ok(expected), "{server}: {headers:?}");
        }
    }

    #[test]
    fn what_is_meant_for_a_server_must_be_one_clean_value() {
        let named = |result: Result<Vec<String>, CredentialError>| match result.unwrap_err() {
            CredentialError::Duplicate { header, .. } => format!("twice {header}"),
            CredentialError::Unclean { header, .. } => format!("unclean {header}"),
            CredentialError::TooLong { header, .. } => format!("long {header}"),
            other => panic!("{other}"),
        };
        let long = "a".repeat(4097);
        let name = "x-mcp-git-authorization";
        assert_eq!(named(sent("git", &[(name, "a"), (name, "b")])), format!("twice {name}"));
        assert_eq!(named(sent("git", &[(name, "a\tb")])), format!("unclean {name}"));
        assert_eq!(named(sent("git", &[(name, &long)])), format!("long {name}"));
        assert_eq!(named(sent("git", &[("x-mcp-auth", &long)])), "long x-mcp-auth");
        assert_eq!(sent("jira", &[(name, &long)]), Ok(Vec::new()), "not this server's business");
    }

    #[test]
    fn names_have_the_form_that_litellms_dashboard_gives_them() {
        assert_eq!(forms("GitHub"), ["github"]);
        assert_eq!(forms("git-hub"), ["git-hub", "git_hub"]);
        assert_eq!(forms(" My  Jira! "), [" my  jira! ", "my_jira"]);
        assert_eq!(forms("--"), ["--"]);
    }

    #[test]
    fn values_from_callers_are_marked_sensitive() {
        let settings = settings(vec![http_server("git", "http://127.0.0.1:1/mcp")]);
        let caller = caller(&[("x-mcp-git-authorization", "t")]);
        let Ok(Sent::Headers(headers)) = Addressing::new(&settings).sent(&caller.headers, &settings.servers[0]) else {
            panic!("headers were sent");
        };
        assert!(headers.values().all(HeaderValue::is_sensitive));
    }
}
