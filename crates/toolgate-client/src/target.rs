//! Where a server is, and how to speak with it.

use std::fmt;
use std::path::PathBuf;

use http::HeaderMap;
use url::Url;

use crate::authorizer::Authorizer;
use crate::http::HttpClient;

/// A server to connect to.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "one is made per connection, and boxes would be in every caller's way")]
pub enum Target {
    /// A server behind a URL.
    Http(HttpTarget),
    /// A program that speaks MCP on its standard input and output.
    Stdio(StdioTarget),
}

/// A server behind a URL.
#[derive(Clone)]
pub struct HttpTarget {
    /// `http` or `https`. User and password in it become an `Authorization: Basic` header, unless `headers` has one.
    pub url: Url,
    /// Sent with every request. Mark secrets with [`http::HeaderValue::set_sensitive`].
    ///
    /// Framing and session headers are ours and are skipped here: `Host`, `Content-Length`, `Content-Type`, `Accept`,
    /// `Accept-Encoding`, `Connection`, `Transfer-Encoding`, `Mcp-Session-Id`, `Mcp-Protocol-Version`, `Mcp-Method` and
    /// their kin.
    pub headers: HeaderMap,
    /// Makes the `Authorization` of every request, in place of one in `headers`.
    pub authorizer: Option<Authorizer>,
    /// Which of the two HTTP transports.
    pub kind: HttpKind,
    /// The connection pool. Share one among targets with the same TLS options.
    pub client: HttpClient,
}

impl fmt::Debug for HttpTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values and the URL's query may be credentials.
        f.debug_struct("HttpTarget")
            .field("url", &public_url(&self.url))
            .field("headers", &self.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>())
            .field("authorizer", &self.authorizer.is_some())
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

/// Which of the two HTTP transports a server has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HttpKind {
    /// Streamable HTTP is tried first, then HTTP+SSE, as the specification asks of clients for both.
    #[default]
    Detect,
    /// Streamable HTTP (since revision 2025-03-26).
    Streamable,
    /// HTTP+SSE (revision 2024-11-05).
    Sse,
}

/// A program that speaks MCP on its standard input and output.
#[derive(Clone, Default)]
pub struct StdioTarget {
    /// A path, or a name to look for in the `PATH` of `env`; without that in the usual system directories.
    pub command: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The whole environment: nothing of ours is inherited.
    pub env: Vec<(String, String)>,
    /// The directory to start in; ours if absent.
    pub cwd: Option<PathBuf>,
}

impl fmt::Debug for StdioTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values of the environment, and arguments, are where the credentials of a stdio server are.
        f.debug_struct("StdioTarget")
            .field("command", &self.command)
            .field("args", &self.args.len())
            .field("env", &self.env.iter().map(|(name, _)| name).collect::<Vec<_>>())
            .field("cwd", &self.cwd)
            .finish()
    }
}

/// The URL as it may be shown: without user, password, query and fragment.
pub(crate) fn public_url(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::public_url;
    use url::Url;

    #[test]
    fn a_shown_url_has_no_secrets() {
        let url = Url::parse("https://u:p@h.example:8443/a/mcp?key=s#f").expect("a URL");
        assert_eq!(public_url(&url), "https://h.example:8443/a/mcp");
        assert_eq!(public_url(&Url::parse("http://[::1]/").expect("a URL")), "http://[::1]/");
    }
}
