//! Names of tools and of their arguments.
//!
//! A tool is named as LiteLLM names it: the `operationId` in lower case with `_` for blanks, or method and path. What MCP
//! does not allow in a name becomes `_`. Of operations with one name the first keeps it; the name of each later one is
//! followed by its method and path, so it does not change when others come and go.
//!
//! Source: MCP 2025-11-25, Tool Names (SEP-986): letters, digits, `_`, `-` and `.`, at most 128.

use std::collections::HashSet;

use crate::operation::litellm_form;

/// What LiteLLM calls an operation.
pub(crate) fn litellm(operation_id: Option<&str>, method: &str, path: &str) -> String {
    match operation_id {
        Some(id) => litellm_form(id),
        None => format!("{}_{}", method.to_lowercase(), path.replace('/', "_")).to_lowercase(),
    }
}

/// A valid name for an operation.
pub(crate) fn valid(spelling: &str, method: &str, path: &str, longest: usize) -> String {
    let name = clean(spelling);
    if name.bytes().any(|byte| byte.is_ascii_alphanumeric()) {
        return shortened(name, longest);
    }
    // Nothing of it is left, as in a language with other letters.
    shortened(clean(&litellm(None, method, path)), longest)
}

/// The same with method and path, for one whose name is taken.
pub(crate) fn distinct(name: &str, method: &str, path: &str, longest: usize) -> String {
    shortened(format!("{name}_{}", clean(&litellm(None, method, path))), longest)
}

/// A name that is not in `taken`, and is from now on.
pub(crate) fn unique(name: String, method: &str, path: &str, longest: usize, taken: &mut HashSet<String>) -> String {
    if taken.insert(name.clone()) {
        return name;
    }
    let longer = distinct(&name, method, path, longest);
    if taken.insert(longer.clone()) {
        return longer;
    }
    // Two paths may differ in nothing but what a name cannot hold.
    let mut number = 2_usize;
    loop {
        let numbered = shortened(format!("{longer}_{number}"), longest);
        if taken.insert(numbered.clone()) {
            return numbered;
        }
        number += 1;
    }
}

/// The name that an operation of this `operationId`, or under this name of LiteLLM's, has as a tool, as long as nothing
/// keeps it from it.
#[must_use]
pub fn tool_name(spelling: &str) -> String {
    clean(&litellm_form(spelling))
}

fn clean(name: &str) -> String {
    name.chars()
        .filter(|c| !matches!(c, '{' | '}'))
        .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.') { c } else { '_' })
        .collect()
}

/// A longer name keeps its beginning, and has a digest of all of it for an end.
fn shortened(name: String, longest: usize) -> String {
    if name.len() <= longest {
        return name;
    }
    let digest = format!("_{:08x}", fnv(name.as_bytes()) & 0xffff_ffff);
    let kept = longest.saturating_sub(digest.len());
    format!("{}{digest}", &name[..kept])
}

/// FNV-1a: the same on every machine and in every version.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Names for arguments that come from several places.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    taken: HashSet<String>,
}

impl Arguments {
    /// The bare name if it is free, else with the place behind it, and then a number.
    pub(crate) fn name(&mut self, name: &str, place: &str) -> String {
        if self.taken.insert(name.to_owned()) {
            return name.to_owned();
        }
        let placed = format!("{name}_{place}");
        if self.taken.insert(placed.clone()) {
            return placed;
        }
        let mut number = 2_usize;
        loop {
            let numbered = format!("{placed}_{number}");
            if self.taken.insert(numbered.clone()) {
                return numbered;
            }
            number += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{litellm, unique, valid};

    #[test]
    fn names_are_litellms_made_valid() {
        let cases = [
            (Some("getPetById"), "getpetbyid"),
            (Some("List All Pets"), "list_all_pets"),
            (Some("repos/list-for.org"), "repos_list-for.org"),
            (None, "get__pets_petid"),
            (Some("список"), "get__pets_petid"),
            (Some(""), "get__pets_petid"),
        ];
        for (id, expected) in cases {
            let (method, path) = ("GET", "/pets/{petId}");
            assert_eq!(valid(&litellm(id, method, path), method, path, 128), expected, "{id:?}");
        }
        assert_eq!(litellm(None, "GET", "/pets/{petId}"), "get__pets_{petid}");
    }

    #[test]
    fn names_are_short_and_unique_and_do_not_hang_on_others() {
        let mut taken = HashSet::new();
        let mut name = |name: &str, path: &str| unique(name.to_owned(), "GET", path, 40, &mut taken);
        assert_eq!(name("list", "/a"), "list");
        assert_eq!(name("list", "/b"), "list_get__b");
        assert_eq!(name("list", "/b!"), "list_get__b_");
        assert_eq!(name("list", "/b?"), "list_get__b__2");
        let long = name("list", "/a/very/long/path/with/many/segments/in/it");
        assert_eq!(long.len(), 40);
        assert!(long.starts_with("list_get__a_very_long_path"), "{long}");
        assert_eq!(valid(&"x".repeat(300), "GET", "/", 128).len(), 128);
    }
}
