//! The general settings that bear on who reaches what.

use toolgate_access::rules::{IpRange, Rules};

use super::super::file::{GeneralSection, LitellmSection};
use super::super::report::{At, Report};
use super::super::settings::{Naming, ServerId};

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
    let Some(ranges) = &section.mcp_internal_ip_ranges else { return IpRange::internal() };
    let at = at.key("mcp_internal_ip_ranges");
    let mut checked = Vec::with_capacity(ranges.len());
    for (index, text) in ranges.iter().enumerate() {
        match text.parse() {
            Ok(range) => checked.push(range),
            Err(error) => {
                let _ = report.error("config.bad_ip_range", &at.index(index), format!("{error}"));
            }
        }
    }
    checked
}
