//! The general settings that bear on access.

use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::id::ServerId;

/// LiteLLM's general settings of the same names, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// A key that grants itself nothing takes over nothing, neither from its team nor from its organization.
    pub require_key_mcp_access_defined: bool,
    /// A customer without a permission of its own reaches nothing.
    pub require_end_user_mcp_access_defined: bool,
    /// `allow_all_keys` does not open a server to keys that some level restricts.
    pub mcp_allow_all_keys_respects_mcp_scope: bool,
    /// What counts as an internal address (`mcp_internal_ip_ranges`); replaces the default.
    pub mcp_internal_ip_ranges: Vec<IpRange>,
    /// Servers that are seen from anywhere, whatever they say themselves (`public_mcp_servers`).
    pub public_mcp_servers: BTreeSet<ServerId>,
    /// What stands between a server's prefix and a tool's name, so that `blocked_tools` may name tools as they are
    /// listed (`MCP_TOOL_PREFIX_SEPARATOR`).
    pub tool_prefix_separator: String,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            require_key_mcp_access_defined: false,
            require_end_user_mcp_access_defined: false,
            mcp_allow_all_keys_respects_mcp_scope: false,
            mcp_internal_ip_ranges: IpRange::internal(),
            public_mcp_servers: BTreeSet::new(),
            tool_prefix_separator: "-".to_owned(),
        }
    }
}

impl Rules {
    /// Whether a client's address is internal. An address that is not known is not.
    ///
    /// LiteLLM leaves its filter out where it has no address; so an unreadable one would open internal servers.
    pub fn client_at(&self, address: Option<IpAddr>) -> ClientPlace {
        let internal =
            address.is_some_and(|address| self.mcp_internal_ip_ranges.iter().any(|range| range.contains(address)));
        if internal { ClientPlace::Internal } else { ClientPlace::External }
    }
}

/// Where a client calls from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientPlace {
    /// From an internal address, or from within the gateway.
    Internal,
    /// From anywhere else. Servers with `available_on_public_internet: false` are not there.
    External,
}

/// A range of addresses: `10.0.0.0/8`, `fc00::/7`, or a single address.
///
/// An IPv4 address that is written as IPv6 (`::ffff:10.0.0.1`) is the IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpRange {
    /// The first address, in 128 bits: those of IPv4 in their mapped form.
    first: u128,
    /// How many leading bits count, in 128.
    bits: u8,
}

impl IpRange {
    /// LiteLLM's default: private, loopback and unique local addresses.
    pub fn internal() -> Vec<Self> {
        let v4 = |a, b, bits| Self::of(IpAddr::V4(Ipv4Addr::new(a, b, 0, 0)), bits);
        let v6 = |first, last, bits| Self::of(IpAddr::V6(Ipv6Addr::new(first, 0, 0, 0, 0, 0, 0, last)), bits);
        vec![v4(10, 0, 8), v4(172, 16, 12), v4(192, 168, 16), v4(127, 0, 8), v6(0, 1, 128), v6(0xfc00, 0, 7)]
    }

    /// Whether an address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        (in_128_bits(address) ^ self.first) & self.mask() == 0
    }

    fn of(address: IpAddr, bits: u8) -> Self {
        let bits = if address.is_ipv4() { bits + 96 } else { bits };
        let range = Self { first: in_128_bits(address), bits };
        Self { first: range.first & range.mask(), ..range }
    }

    fn mask(&self) -> u128 {
        u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0)
    }
}

fn in_128_bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// A text is not a range of addresses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no range of addresses; write one like `10.0.0.0/8` or `fc00::/7`")]
pub struct IpRangeError(String);

impl FromStr for IpRange {
    type Err = IpRangeError;

    fn from_str(text: &str) -> Result<Self, IpRangeError> {
        let error = || IpRangeError(text.to_owned());
        let (address, bits) = text.trim().split_once('/').map_or((text.trim(), None), |(a, b)| (a, Some(b)));
        let address: IpAddr = address.parse().map_err(|_| error())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| error()))?;
        if bits > most { Err(error()) } else { Ok(Self::of(address, bits)) }
    }
}

impl fmt::Display for IpRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = Ipv6Addr::from_bits(self.first);
        match address.to_ipv4_mapped() {
            Some(address) if self.bits >= 96 => write!(f, "{address}/{}", self.bits - 96),
            _ => write!(f, "{address}/{}", self.bits),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_loopback_and_unique_local_addresses_are_internal_by_default() {
        let rules = Rules::default();
        let cases = [
            ("10.66.0.9", ClientPlace::Internal),
            ("172.16.0.1", ClientPlace::Internal),
            ("172.31.255.255", ClientPlace::Internal),
            ("172.32.0.0", ClientPlace::External),
            ("192.168.1.1", ClientPlace::Internal),
            ("127.0.0.1", ClientPlace::Internal),
            ("::1", ClientPlace::Internal),
            ("::2", ClientPlace::External),
            ("fd12::1", ClientPlace::Internal),
            ("fe80::1", ClientPlace::External),
            ("8.8.8.8", ClientPlace::External),
            ("::ffff:10.0.0.1", ClientPlace::Internal),
            ("::ffff:8.8.8.8", ClientPlace::External),
            ("0.0.0.0", ClientPlace::External),
        ];
        for (address, expected) in cases {
            assert_eq!(rules.client_at(Some(address.parse().unwrap())), expected, "{address}");
        }
        assert_eq!(rules.client_at(None), ClientPlace::External);
    }

    #[test]
    fn configured_ranges_replace_the_default() {
        let rules = Rules { mcp_internal_ip_ranges: vec!["10.66.0.0/24".parse().unwrap()], ..Rules::default() };

        assert_eq!(rules.client_at(Some("10.66.0.9".parse().unwrap())), ClientPlace::Internal);
        assert_eq!(rules.client_at(Some("127.0.0.1".parse().unwrap())), ClientPlace::External);
    }

    #[test]
    fn ranges_are_read_and_written() {
        let cases = [
            ("10.1.2.3/8", Some("10.0.0.0/8")),
            (" 192.168.1.1 ", Some("192.168.1.1/32")),
            ("fc00::/7", Some("fc00::/7")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("::/0", Some("::/0")),
            ("10.0.0.0/33", None),
            ("::/129", None),
            ("10.0.0/8", None),
            ("10.0.0.0/", None),
            ("localhost", None),
            ("", None),
        ];
        for (text, expected) in cases {
            let range = text.parse::<IpRange>();
            assert_eq!(range.ok().map(|range| range.to_string()).as_deref(), expected, "{text}");
        }
    }
}
