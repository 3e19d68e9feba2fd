//! How a server's name is put before the names of its tools, prompts and resources, and taken off again.
//!
//! The listed form is `{prefix}{separator}{name}` (LiteLLM's, `-` by default). A call may use any name that the server
//! is known by as the prefix, so what a client remembered keeps working when an alias is added.

use crate::config::settings::{Naming, ServerSettings};

impl Naming {
    /// `bare` as it is listed for `server` when the prefix is wanted.
    pub(super) fn prefixed(&self, server: &ServerSettings, bare: &str) -> String {
        format!("{}{}{bare}", server.prefix, self.separator)
    }

    /// What `name` would be called on `server` itself, for each of the server's names that `name` begins with; the
    /// listed prefix first.
    pub(super) fn bare_names<'n>(&self, server: &ServerSettings, name: &'n str) -> Vec<&'n str> {
        let without = |prefix: &str| name.strip_prefix(prefix)?.strip_prefix(self.separator.as_str());
        let mut bare: Vec<&str> = Vec::new();
        for prefix in std::iter::once(server.prefix.as_str()).chain(server.names()) {
            if let Some(rest) = without(prefix)
                && !rest.is_empty()
                && !bare.contains(&rest)
            {
                bare.push(rest);
            }
        }
        bare
    }
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
}
