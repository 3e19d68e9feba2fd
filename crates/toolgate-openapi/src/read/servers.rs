//! Where requests go.

use url::Url;

use super::{Draft, Reader};
use crate::api::Api;
use crate::node::{Map, Node};
use crate::schema::Version;

impl<'d> Reader<'d> {
    /// Where requests go: the options' URL, else the first server of the description, else where it came from. And
    /// whether the options say so, by the URL itself or by where the description came from.
    pub(super) fn base(&self) -> (Result<Url, String>, bool) {
        if let Some(url) = &self.options.url {
            return (Ok(url.clone()), true);
        }
        let named = self.named_base();
        let origin = self.options.origin.as_ref().map(Url::origin);
        let is_given = named.as_ref().is_ok_and(|url| Some(url.origin()) == origin);
        (named, is_given)
    }

    fn named_base(&self) -> Result<Url, String> {
        let root = self.root.node;
        let origin = self.options.origin.as_ref();
        match self.version {
            Version::V2 => self.swagger_base(),
            Version::V30 | Version::V31 => match first_server(root) {
                Some(server) => absolute(&expanded(server)?, origin),
                None => {
                    let none = "the description names no server; set `url`";
                    origin.map(root_of).ok_or_else(|| none.to_owned())
                }
            },
        }
    }

    fn swagger_base(&self) -> Result<Url, String> {
        let root = self.root.node;
        let origin = self.options.origin.as_ref();
        let host = root.text_of("host").map(str::to_owned).or_else(|| {
            let origin = origin?;
            let port = origin.port().map(|port| format!(":{port}")).unwrap_or_default();
            Some(format!("{}{port}", origin.host_str()?))
        });
        let host = host.ok_or_else(|| "the description names no host; set `url`".to_owned())?;
        let schemes = root.get("schemes").and_then(Node::list).unwrap_or_default();
        let named = |wanted: &str| schemes.iter().any(|scheme| scheme.text() == Some(wanted));
        let scheme = match origin {
            _ if named("https") => "https",
            _ if named("http") => "http",
            Some(origin) => origin.scheme(),
            None => "https",
        };
        absolute(&format!("{scheme}://{host}{}", root.text_of("basePath").unwrap_or_default()), None)
    }

    /// The server of the operation or its path, if it has one of its own.
    pub(super) fn own_server(&self, draft: &Draft<'d>, api: &Api) -> Result<Option<Url>, String> {
        if self.version == Version::V2 {
            return Ok(None);
        }
        let Some(server) = draft.owners().rev().find_map(|owner| first_server(owner.node)) else {
            return Ok(None);
        };
        // Where nothing can be called, there is nothing to compare with.
        let Ok(base) = &api.base else { return Ok(None) };
        let url = absolute(&expanded(server)?, Some(self.options.origin.as_ref().unwrap_or(base)))?;
        if url.origin() == base.origin() {
            return Ok(Some(url));
        }
        Err(format!("its server `{url}` is not at {}", base.origin().ascii_serialization()))
    }
}

fn first_server(owner: &Node) -> Option<&Node> {
    owner.get("servers")?.list()?.first().filter(|server| server.text_of("url").is_some())
}

/// The URL with its variables filled in.
fn expanded(server: &Node) -> Result<String, String> {
    let mut url = server.text_of("url").unwrap_or_default().to_owned();
    for (name, variable) in server.get("variables").and_then(Node::map).into_iter().flat_map(Map::iter) {
        let first = || variable.get("enum").and_then(Node::list).and_then(<[Node]>::first);
        if let Some(value) = variable.get("default").or_else(first).and_then(Node::scalar) {
            url = url.replace(&format!("{{{name}}}"), &value);
        }
    }
    if url.contains('{') {
        return Err(format!("the server `{url}` has a variable without a value; set `url`"));
    }
    Ok(url)
}

fn absolute(url: &str, base: Option<&Url>) -> Result<Url, String> {
    let parsed = match base {
        Some(base) => base.join(url),
        None => Url::parse(url),
    };
    let mut parsed = parsed.map_err(|error| format!("the server `{url}` is no URL ({error}); set `url`"))?;
    if !matches!(parsed.scheme(), "http" | "https") || !parsed.has_host() {
        return Err(format!("the server `{url}` is not at http:// or https://; set `url`"));
    }
    if !parsed.username().is_empty() || parsed.password().is_some() {
        return Err("the server's URL holds a user; set `url`".to_owned());
    }
    parsed.set_fragment(None);
    Ok(parsed)
}

fn root_of(url: &Url) -> Url {
    let mut root = url.clone();
    root.set_path("/");
    root.set_query(None);
    root.set_fragment(None);
    root
}
