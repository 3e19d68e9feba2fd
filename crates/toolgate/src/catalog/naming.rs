//! How a server's name is put before the names of its tools, prompts and resources, and taken off again.
//!
//! The listed form is `{prefix}{separator}{name}` (LiteLLM's, `-` by default). A call may use any name that the server
//! is known by as the prefix, so what a client remembered keeps working when an alias is added.

use crate::config::settings::{Naming, ServerSettings};

impl Naming {
    /// `bare` as it is listed for `server` when the prefix is wanted.
    pub(super) fn prefixed(&self, server: &ServerSettings, bare: &str) -> String {
        [&*server.prefix, &self.separator, bare].concat()
    }

    /// Every form in which a call may name the server's `bare`, the listed one first.
    pub(super) fn spellings(&self, server: &ServerSettings, bare: &str) -> impl Iterator<Item = String> {
        prefixes(server).map(move |prefix| format!("{prefix}{}{bare}", self.separator))
    }

    /// What `name` would be called on the server, if it begins with the prefix that the server is listed under.
    pub(super) fn listed_bare_name<'n>(&self, server: &ServerSettings, name: &'n str) -> Option<&'n str> {
        self.behind(&server.prefix, name)
    }

    fn behind<'n>(&self, prefix: &str, name: &'n str) -> Option<&'n str> {
        name.strip_prefix(prefix)?.strip_prefix(self.separator.as_str()).filter(|bare| !bare.is_empty())
    }

    /// What `name` would be called on `server` itself, for each of the server's names that `name` begins with; the
    /// listed prefix first.
    pub(super) fn bare_names<'n>(&self, server: &ServerSettings, name: &'n str) -> Vec<&'n str> {
        let mut bare: Vec<&str> = Vec::new();
        for prefix in prefixes(server) {
            if let Some(rest) = self.behind(prefix, name)
                && !bare.contains(&rest)
            {
                bare.push(rest);
            }
        }
        bare
    }
}

fn prefixes(server: &ServerSettings) -> impl Iterator<Item = &str> {
    std::iter::once(server.prefix.as_str()).chain(server.names())
}

/// What is put before the URI of a resource that an earlier server has as well: `{prefix}+`, in the form of a URI's
/// scheme (RFC 3986, 3.1), since there are clients that refuse a whole list for one URI that is none.
fn uri_prefix(server: &ServerSettings) -> String {
    let mut scheme: String = server
        .prefix
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c.to_ascii_lowercase() } else { '-' })
        .collect();
    if !scheme.starts_with(|c: char| c.is_ascii_lowercase()) {
        scheme.insert(0, 'x');
    }
    scheme.push('+');
    scheme
}

/// Begins the URIs of user interfaces (MCP Apps). Clients know them by it, so it stays in front.
const UI: &str = "ui://";

/// `own` as it is listed for `server` where an earlier server has the same.
pub(super) fn prefixed_uri(server: &ServerSettings, own: &str) -> String {
    let (scheme, rest) = own.strip_prefix(UI).map_or(("", own), |rest| (UI, rest));
    format!("{scheme}{}{rest}", uri_prefix(server))
}

/// The URI on `server` itself that [`prefixed_uri`] made `uri` of.
pub(super) fn own_uri(server: &ServerSettings, uri: &str) -> Option<String> {
    let (scheme, rest) = uri.strip_prefix(UI).map_or(("", uri), |rest| (UI, rest));
    Some(format!("{scheme}{}", rest.strip_prefix(&uri_prefix(server))?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::settings::PrefixMode;
    use crate::upstream::testing::http_server;

    fn naming(separator: &str) -> Naming {
        Naming { separator: separator.to_owned(), prefix: PrefixMode::Always }
    }

    #[test]
    fn a_listed_name_leads_back_to_the_bare_one() {
        let server = http_server("git", "http://127.0.0.1:1/mcp");
        for separator in ["-", "__", "."] {
            let listed = naming(separator).prefixed(&server, "log-all");
            assert_eq!(naming(separator).bare_names(&server, &listed), ["log-all"]);
        }
    }

    #[test]
    fn every_name_of_a_server_is_a_prefix_and_nothing_else_is() {
        let mut server = http_server("github_server", "http://127.0.0.1:1/mcp");
        server.alias = Some("git-hub".to_owned());
        server.prefix = "git-hub".to_owned();
        let cases: [(&str, &[&str]); 6] = [
            ("git-hub-log", &["log"]),
            ("github_server-log", &["log"]),
            ("id-github_server-log", &["log"]),
            ("git-log", &[]),
            ("git-hub-", &[]),
            ("log", &[]),
        ];
        for (name, expected) in cases {
            assert_eq!(naming("-").bare_names(&server, name), expected, "{name}");
        }
    }

    #[test]
    fn a_prefix_of_a_uri_has_the_form_of_a_scheme() {
        for (prefix, expected) in [("files", "files+"), ("My_files", "my-files+"), ("1st.ä", "x1st.-+"), ("_", "x-+")]
        {
            let mut server = http_server("files", "http://127.0.0.1:1/mcp");
            server.prefix = prefix.to_owned();
            assert_eq!(uri_prefix(&server), expected, "{prefix}");
        }
    }

    #[test]
    fn a_prefixed_uri_leads_back_to_the_servers_own() {
        let server = http_server("maps", "http://127.0.0.1:1/mcp");
        for (own, listed) in [("file:///a", "maps+file:///a"), ("ui://view", "ui://maps+view"), ("x", "maps+x")] {
            assert_eq!(prefixed_uri(&server, own), listed);
            assert_eq!(own_uri(&server, listed).as_deref(), Some(own));
            assert_eq!(own_uri(&server, own), None);
        }
    }
}
