//! Which addresses the gateway connects to, by who named them.
//!
//! Whoever writes the configuration file may name any. An admin who makes a server through the API may name those inside,
//! but not those where a machine of a cloud finds its credentials. A user who proposes a server, and a document that names
//! another host, may name only what everybody on the internet could reach as well.
//!
//! [`Reach::allowed`] is asked for each connection, of the address that is about to be connected to, so a name that leads
//! elsewhere the next time gains nothing. The literal forms of addresses that people smuggle (`0x7f000001`, `127.1`) are
//! understood by the URL parser before they come here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use url::{Host, Url};

/// Which addresses may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reach {
    /// All.
    Anywhere,
    /// All but those that mean only this machine and its cloud: [`is_metadata`].
    Inside,
    /// Those of the internet: [`is_public`].
    Public,
}

impl Reach {
    /// The rule for connections; `None` where there is none to follow.
    #[must_use]
    pub fn allowed(self) -> Option<fn(IpAddr) -> bool> {
        match self {
            Self::Anywhere => None,
            Self::Inside => Some(|address| !is_metadata(address)),
            Self::Public => Some(is_public),
        }
    }

    /// Whether the URL itself shows that it is out of reach. Names are not resolved, but for those of this machine.
    #[must_use]
    pub fn shuts_out(self, url: &Url) -> bool {
        let Some(allowed) = self.allowed() else { return false };
        match url.host() {
            Some(Host::Ipv4(address)) => !allowed(IpAddr::V4(address)),
            Some(Host::Ipv6(address)) => !allowed(IpAddr::V6(address)),
            Some(Host::Domain(name)) => match name.trim_end_matches('.') {
                "metadata.google.internal" => true,
                "localhost" => self == Self::Public,
                name => {
                    self == Self::Public && [".localhost", ".internal", ".local"].iter().any(|end| name.ends_with(end))
                }
            },
            None => true,
        }
    }
}

/// How long a name may take to be resolved.
const RESOLVE: Duration = Duration::from_secs(5);

/// Why a URL may not be named. The text says nothing of what is inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPublic {
    /// Not `https` or `http`, or without a host.
    #[error("only http and https URLs with a host can be named")]
    Kind,
    /// Not an address of the internet, or not resolved: one answer for both, or it would tell what names there are inside.
    #[error("the host is not a public address; ask an admin to add a server inside")]
    Host,
}

/// Whether every address that `url` leads to is one of the internet.
///
/// # Errors
/// [`NotPublic`].
pub async fn check_public(url: &Url) -> Result<(), NotPublic> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err(NotPublic::Kind);
    }
    let port = url.port_or_known_default().ok_or(NotPublic::Kind)?;
    match url.host().ok_or(NotPublic::Kind)? {
        Host::Ipv4(address) => public(is_public(IpAddr::V4(address))),
        Host::Ipv6(address) => public(is_public(IpAddr::V6(address))),
        Host::Domain(name) => {
            let looked_up = tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, port))).await;
            let Ok(Ok(addresses)) = looked_up else { return Err(NotPublic::Host) };
            let addresses: Vec<_> = addresses.collect();
            public(!addresses.is_empty() && addresses.iter().all(|address| is_public(address.ip())))
        }
    }
}

fn public(is_public: bool) -> Result<(), NotPublic> {
    if is_public { Ok(()) } else { Err(NotPublic::Host) }
}

/// Whether everybody on the internet means the same host by this address.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_public_v4(inner),
            None => is_public_v6(address),
        },
    }
}

/// Whether a machine in a cloud finds its credentials there, or the address means a neighbour on the same wire.
#[must_use]
pub fn is_metadata(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_metadata_v4(address),
        IpAddr::V6(address) => match embedded(address) {
            Some(inner) => is_metadata_v4(inner),
            None => address.is_unicast_link_local() || METADATA_V6.contains(&address),
        },
    }
}

/// Beside 169.254.0.0/16: Alibaba Cloud, Oracle Cloud, Azure.
const METADATA_V4: [Ipv4Addr; 3] =
    [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(192, 0, 0, 192), Ipv4Addr::new(168, 63, 129, 16)];

/// AWS and Google Cloud.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

fn is_metadata_v4(address: Ipv4Addr) -> bool {
    address.is_link_local() || METADATA_V4.contains(&address)
}

/// The address of the older kind that one of the newer stands for: mapped, compatible, NAT64, 6to4.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let octets = address.octets();
    let last = |at: usize| Ipv4Addr::new(octets[at], octets[at + 1], octets[at + 2], octets[at + 3]);
    match address.segments() {
        [0, 0, 0, 0, 0, 0xffff, ..] => Some(last(12)),
        [0, 0, 0, 0, 0, 0, high, low] if high != 0 || low > 1 => Some(last(12)),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(last(12)),
        [0x2002, ..] => Some(last(2)),
        _ => None,
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let is_inner = matches!(
        (a, b, c),
        (0 | 10 | 127 | 224.., ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            | (192, 168, _)
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
    );
    !is_inner && !METADATA_V4.contains(&address)
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [first, second, ..] = address.segments();
    // What is not assigned is nobody's; of what is, documentation and tunnels are not hosts.
    (0x2000..=0x3fff).contains(&first) && !(first == 0x2001 && (second < 0x200 || second == 0xdb8)) && first != 0x3fff
}

#[cfg(test)]
mod tests {
    use super::{NotPublic, Reach, check_public, is_metadata, is_public};

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for address in
            ["93.184.216.34", "1.1.1.1", "172.32.0.1", "2606:2800:220:1::1", "64:ff9b::101:101", "::ffff:1.1.1.1"]
        {
            assert!(is_public(address.parse().unwrap()), "{address}");
        }
        for address in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "2002:7f00:1::",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(!is_public(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn what_a_machine_asks_for_its_credentials_is_known_in_every_form() {
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "2002:a9fe:a9fe::",
            "fd00:ec2::254",
            "fd20:ce::254",
            "fe80::1",
            "100.100.100.200",
            "192.0.0.192",
            "168.63.129.16",
        ] {
            let address = address.parse().unwrap();
            assert!(is_metadata(address) && !is_public(address), "{address}");
        }
        for address in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "1.1.1.1", "::1", "fd12::1", "100.100.100.201"] {
            assert!(!is_metadata(address.parse().unwrap()), "{address}");
        }
    }

    #[test]
    fn a_url_shows_what_it_can_of_where_it_leads() {
        let cases = [
            ("http://169.254.169.254/", false, true, true),
            ("http://[::ffff:169.254.169.254]/", false, true, true),
            ("http://metadata.google.internal./", false, true, true),
            ("http://127.1/", false, false, true),
            ("http://0x7f000001/", false, false, true),
            ("http://localhost:8080/", false, false, true),
            ("http://a.localhost/", false, false, true),
            ("http://api.internal/", false, false, true),
            ("http://10.1.2.3/", false, false, true),
            ("http://1.1.1.1/", false, false, false),
            ("https://api.example.com/", false, false, false),
        ];
        for (url, anywhere, inside, public) in cases {
            let url = url.parse().unwrap();
            let found = [Reach::Anywhere, Reach::Inside, Reach::Public].map(|reach| reach.shuts_out(&url));
            assert_eq!(found, [anywhere, inside, public], "{url}");
        }
    }

    #[tokio::test]
    async fn a_url_that_leads_inside_is_refused_whatever_it_looks_like() {
        for url in [
            "http://127.1/",
            "http://0x7f000001/",
            "http://2130706433/",
            "http://0177.0.0.1/",
            "http://[::1]:9901/",
            "http://[::ffff:169.254.169.254]/",
            "http://localhost/",
            "http://no-such-name.invalid/",
        ] {
            assert_eq!(check_public(&url.parse().unwrap()).await, Err(NotPublic::Host), "{url}");
        }
        assert_eq!(check_public(&"ftp://1.1.1.1/".parse().unwrap()).await, Err(NotPublic::Kind));
        assert_eq!(check_public(&"https://1.1.1.1/mcp".parse().unwrap()).await, Ok(()));
    }
}
