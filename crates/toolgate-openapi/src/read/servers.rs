//! Where requests go.

use std::net::{Ipv4Addr, Ipv6Addr};

use url::{Host, Url};

use super::{Draft, Reader};
use crate::api::Api;
use crate::node::{Map, Node};
use crate::schema::Version;

impl<'d> Reader<'d> {
    /// Where requests go: the options' URL, else the first server of the description, else where it came from.
    pub(super) fn base(&self) -> Result<Url, String> {
        if let Some(url) = &self.options.url {
            return Ok(url.clone());
        }
        let root = self.root.node;
        let origin = self.options.origin.as_ref();
        let url = match self.version {
            Version::V2 => self.swagger_base(),
            Version::V30 | Version::V31 => match first_server(root) {
                Some(server) => absolute(&expanded(server)?, origin),
                None => {
                    let none = "the description names no server; set `url`";
                    origin.map(root_of).ok_or_else(|| none.to_owned())
                }
            },
        }?;
        self.trusted(url)
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

    /// A description may not send requests to the inside of whoever runs the gateway, unless it comes from there.
    fn trusted(&self, url: Url) -> Result<Url, String> {
        if self.options.origin.as_ref().is_some_and(|origin| origin.origin() == url.origin()) {
            return Ok(url);
        }
        let is_local = is_link_local(&url) || self.options.origin.is_some() && is_internal(&url);
        if is_local {
            return Err(format!(
                "the description names the server `{url}`, an internal address; if that is meant, set `url`"
            ));
        }
        Ok(url)
    }

    /// The server of the operation or its path, if it has one of its own.
    pub(super) fn own_server(&self, draft: &Draft<'d>, api: &Api) -> Result<Option<Url>, String> {
        if self.version == Version::V2 {
            return Ok(None);
        }
        let Some(server) = first_server(draft.node.node).or_else(|| first_server(draft.item.node)) else {
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

/// Addresses where machines in a cloud find their credentials.
fn is_link_local(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local(),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => address.is_link_local(),
            None => {
                (address.segments()[0] & 0xffc0) == 0xfe80
                    || address == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254)
            }
        },
        Some(Host::Domain(name)) => name == "metadata.google.internal",
        None => false,
    }
}

/// Addresses that are not in the public Internet, as far as the URL shows.
#[must_use]
pub fn is_internal(url: &Url) -> bool {
    let v4 = |address: Ipv4Addr| {
        let [a, b, ..] = address.octets();
        address.is_private()
            || address.is_loopback()
            || address.is_link_local()
            || address.is_unspecified()
            || address.is_broadcast()
            || address.is_multicast()
            || (a == 100 && (64..128).contains(&b))
            || a == 0
    };
    match url.host() {
        Some(Host::Ipv4(address)) => v4(address),
        Some(Host::Ipv6(address)) => match address.to_ipv4_mapped() {
            Some(address) => v4(address),
            None => {
                let first = address.segments()[0];
                address.is_loopback()
                    || address.is_unspecified()
                    || address.is_multicast()
                    || (first & 0xfe00) == 0xfc00
                    || (first & 0xffc0) == 0xfe80
            }
        },
        Some(Host::Domain(name)) => {
            name == "localhost"
                || name.ends_with(".localhost")
                || name.ends_with(".internal")
                || name.ends_with(".local")
        }
        None => true,
    }
}
