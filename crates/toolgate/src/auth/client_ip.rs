//! Where a request came from: the address at the other end of the connection, unless that is a proxy which is believed.
//!
//! Every proxy appends to `X-Forwarded-For` the address that it was called from. So the right end of the list is written
//! by proxies, and the left end by whoever sent the request; only as many entries from the right count as there are
//! proxies. `Forwarded` and `X-Real-IP` are not looked at at all: a proxy that does not know them passes on what the
//! client wrote.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};
use toolgate_access::rules::IpRange;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The proxies before the gateway that are believed (`use_x_forwarded_for`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustedProxies {
    /// `mcp_trusted_proxy_ranges`.
    pub ranges: Vec<IpRange>,
    /// `mcp_xff_num_trusted_hops`: how many proxies stand one behind the other; at least 1.
    pub hops: usize,
}

impl TrustedProxies {
    /// Whether the other end of a connection is one of them.
    #[must_use]
    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.ranges.iter().any(|range| range.contains(peer))
    }

    /// The client's address. `None`, which is an external one, when a proxy sends no list, a list that is too short, or
    /// one whose entry is no address.
    #[must_use]
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return Some(peer);
        }
        // Several headers are one list, in their order.
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let mut entries = values.flat_map(|value| value.to_str().unwrap_or_default().rsplit(','));
        address(entries.nth(self.hops.checked_sub(1)?)?)
    }
}

/// An entry of the list. Some proxies write the port too.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    entry.parse().ok().or_else(|| Some(entry.parse::<std::net::SocketAddr>().ok()?.ip()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    /// The client that `peer` makes known with these headers, one text each.
    fn client(hops: usize, peer: &str, lists: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for list in lists {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(list.as_bytes()).unwrap());
        }
        headers.append("x-real-ip", HeaderValue::from_static("127.0.0.1"));
        headers.append("forwarded", HeaderValue::from_static("for=127.0.0.1"));
        let proxies = TrustedProxies { ranges: vec!["10.0.0.0/24".parse().unwrap()], hops };
        proxies.client(peer.parse().unwrap(), &headers).map(|address| address.to_string())
    }

    #[test]
    fn only_what_trusted_proxies_wrote_counts() {
        let cases: [(usize, &str, &[&str], Option<&str>); 17] = [
            // Nobody is believed who is no trusted proxy.
            (1, "10.66.0.9", &["127.0.0.1"], Some("10.66.0.9")),
            (1, "8.8.8.8", &["10.0.0.1, 8.8.8.8"], Some("8.8.8.8")),
            (1, "10.0.0.1", &["203.0.113.7"], Some("203.0.113.7")),
            (1, "::ffff:10.0.0.1", &["203.0.113.7"], Some("203.0.113.7")),
            // What the client wrote stands on the left.
            (1, "10.0.0.1", &["127.0.0.1, 203.0.113.7"], Some("203.0.113.7")),
            (1, "10.0.0.1", &["127.0.0.1", "203.0.113.7"], Some("203.0.113.7")),
            (2, "10.0.0.1", &["127.0.0.1, 203.0.113.7, 10.0.0.2"], Some("203.0.113.7")),
            (2, "10.0.0.1", &["127.0.0.1, 203.0.113.7", "10.0.0.2"], Some("203.0.113.7")),
            (1, "10.0.0.1", &["[2001:db8::1]:4711"], Some("2001:db8::1")),
            (1, "10.0.0.1", &["203.0.113.7:4711"], Some("203.0.113.7")),
            // What cannot be read is nobody's address.
            (1, "10.0.0.1", &[], None),
            (2, "10.0.0.1", &["127.0.0.1"], None),
            (1, "10.0.0.1", &["127.0.0.1, unknown"], None),
            (1, "10.0.0.1", &["127.0.0.1,"], None),
            (1, "10.0.0.1", &["127.0.0.1", "\u{e9}"], None),
            (1, "10.0.0.1", &["010.0.0.1"], None),
            (0, "10.0.0.1", &["127.0.0.1"], None),
        ];
        for (hops, peer, lists, expected) in cases {
            assert_eq!(client(hops, peer, lists).as_deref(), expected, "{hops} {peer} {lists:?}");
        }
    }
}
