//! The general settings that bear on who reaches what.

use toolgate_access::rules::{IpRange, Rules};

use super::super::file::{GeneralSection, LitellmSection};
use super::super::report::{At, Report};
use super::super::settings::{Naming, ServerId};
use crate::auth::client_ip::TrustedProxies;

/// More proxies than anybody has one behind the other.
const MAX_HOPS: usize = 32;

/// Checks those of `general_settings`.
pub(super) fn check(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Rules {
    Rules {
        require_key_mcp_access_defined: section.require_key_mcp_access_defined.unwrap_or(false),
        require_end_user_mcp_access_defined: section.require_end_user_mcp_access_defined.unwrap_or(false),
        mcp_allow_all_keys_respects_mcp_scope: section.mcp_allow_all_keys_respects_mcp_scope.unwrap_or(false),
        mcp_internal_ip_ranges: internal_ranges(section, at, report),
        ..Rules::default()
    }
}

/// `rules` with what other sections say.
pub(super) fn with_public(rules: Rules, litellm: &LitellmSection, naming: &Naming) -> Rules {
    let public = litellm.public_mcp_servers.iter().flatten();
    Rules {
        public_mcp_servers: public.map(|id| ServerId::from(id.as_str())).collect(),
        tool_prefix_separator: naming.separator.clone(),
        ..rules
    }
}

/// The list replaces the default whole, as LiteLLM's does.
fn internal_ranges(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Vec<IpRange> {
    let Some(texts) = &section.mcp_internal_ip_ranges else { return IpRange::internal() };
    ranges(texts, &at.key("mcp_internal_ip_ranges"), report)
}

/// The proxies that are believed. To believe nobody in particular would be to believe everybody, so without ranges
/// nobody is, as in LiteLLM.
pub(super) fn trusted_proxies(section: &GeneralSection, at: &At<'_>, report: &mut Report) -> Option<TrustedProxies> {
    let texts = section.mcp_trusted_proxy_ranges.as_deref().unwrap_or_default();
    let ranges = ranges(texts, &at.key("mcp_trusted_proxy_ranges"), report);
    let hops = section.mcp_xff_num_trusted_hops.unwrap_or(1);
    let hops = usize::try_from(hops).ok().filter(|hops| (1..=MAX_HOPS).contains(hops));
    if hops.is_none() {
        let at = at.key("mcp_xff_num_trusted_hops");
        let _ = report.error("config.out_of_range", &at, format!("between 1 and {MAX_HOPS} proxies can be counted"));
    }
    if !section.use_x_forwarded_for.unwrap_or(false) {
        return None;
    }
    if texts.is_empty() {
        report
            .warning(
                "config.no_trusted_proxies",
                &at.key("use_x_forwarded_for"),
                "nobody's `X-Forwarded-For` is believed",
            )
            .help("name the proxies before the gateway in mcp_trusted_proxy_ranges");
        return None;
    }
    Some(TrustedProxies { ranges, hops: hops? })
}

fn ranges(texts: &[String], at: &At<'_>, report: &mut Report) -> Vec<IpRange> {
    let mut checked = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match text.parse() {
            Ok(range) => checked.push(range),
            Err(error) => {
                let _ = report.error("config.bad_ip_range", &at.index(index), format!("{error}"));
            }
        }
    }
    checked
}
