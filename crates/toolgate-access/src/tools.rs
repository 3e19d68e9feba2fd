//! Which tools of one server may be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use foldhash::{HashSet, HashSetExt as _};
use sha2::{Digest as _, Sha256};

/// Which tools of a server a caller may use, by their bare names. Cheap to clone, fast to ask.
///
/// Prompts and resources have no filter of their own: they are reached where their server is.
#[derive(Clone, Debug)]
pub struct ToolFilter(Arc<Frozen>);

#[derive(Debug)]
struct Frozen {
    kind: Kind,
    /// Equal for filters that allow the same tools, and only for them.
    digest: [u8; 16],
}

#[derive(Debug)]
enum Kind {
    All,
    Except(HashSet<Box<str>>),
    Only(HashSet<Box<str>>),
}

impl ToolFilter {
    /// Every tool.
    pub fn all() -> Self {
        Tools::all().freeze()
    }

    /// Whether a tool may be used. `bare_tool` is the name that the server itself gives it.
    pub fn allows(&self, bare_tool: &str) -> bool {
        match &self.0.kind {
            Kind::All => true,
            Kind::Except(blocked) => !blocked.contains(bare_tool),
            Kind::Only(allowed) => allowed.contains(bare_tool),
        }
    }

    /// Whether it allows every tool, so that a list need not be gone through.
    pub fn allows_all(&self) -> bool {
        matches!(self.0.kind, Kind::All)
    }

    /// Tells filters apart: equal for those that allow the same tools, and only for them.
    pub fn digest(&self) -> &[u8; 16] {
        &self.0.digest
    }
}

/// A filter while the rules work on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Tools<'a> {
    Except(BTreeSet<&'a str>),
    Only(BTreeSet<&'a str>),
}

impl<'a> Tools<'a> {
    pub(crate) fn all() -> Self {
        Self::Except(BTreeSet::new())
    }

    pub(crate) fn allow(&self, tool: &str) -> bool {
        match self {
            Self::Except(blocked) => !blocked.contains(tool),
            Self::Only(allowed) => allowed.contains(tool),
        }
    }

    /// Keeps only what is named.
    pub(crate) fn keep(&mut self, named: &BTreeSet<&'a str>) {
        *self = match std::mem::replace(self, Self::all()) {
            Self::Except(blocked) => Self::Only(named.difference(&blocked).copied().collect()),
            Self::Only(allowed) => Self::Only(named.intersection(&allowed).copied().collect()),
        };
    }

    pub(crate) fn take_away(&mut self, name: &'a str) {
        match self {
            Self::Except(blocked) => blocked.insert(name),
            Self::Only(allowed) => allowed.remove(name),
        };
    }

    /// What either of two allows.
    pub(crate) fn or(self, other: Self) -> Self {
        match (self, other) {
            (Self::Except(one), Self::Except(other)) => Self::Except(&one & &other),
            (Self::Except(blocked), Self::Only(allowed)) | (Self::Only(allowed), Self::Except(blocked)) => {
                Self::Except(&blocked - &allowed)
            }
            (Self::Only(one), Self::Only(other)) => Self::Only(&one | &other),
        }
    }

    pub(crate) fn freeze(&self) -> ToolFilter {
        let (kind, mark, names) = match self {
            Self::Except(blocked) if blocked.is_empty() => (Kind::All, 0, blocked),
            Self::Except(blocked) => (Kind::Except(owned(blocked)), 1, blocked),
            Self::Only(allowed) => (Kind::Only(owned(allowed)), 2, allowed),
        };
        let mut hash = Sha256::new_with_prefix([mark]);
        for name in names {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        ToolFilter(Arc::new(Frozen { kind, digest: first_16(&hash.finalize().into()) }))
    }
}

pub(crate) fn first_16(digest: &[u8; 32]) -> [u8; 16] {
    std::array::from_fn(|index| digest[index])
}

fn owned(names: &BTreeSet<&str>) -> HashSet<Box<str>> {
    let mut owned = HashSet::with_capacity(names.len());
    owned.extend(names.iter().map(|name| Box::from(*name)));
    owned
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NAMES: [&str; 5] = ["a", "b", "c", "d", "*"];

    fn some_names() -> impl Strategy<Value = BTreeSet<&'static str>> {
        proptest::collection::btree_set(proptest::sample::select(&NAMES[..]), 0..5)
    }

    fn some_tools() -> impl Strategy<Value = Tools<'static>> {
        (any::<bool>(), some_names())
            .prop_map(|(only, names)| if only { Tools::Only(names) } else { Tools::Except(names) })
    }

    proptest! {
        #[test]
        fn the_filter_does_what_the_rules_made_of_it(
            one in some_tools(), other in some_tools(), named in some_names(), gone in proptest::sample::select(&NAMES[..])
        ) {
            let mut kept = one.clone();
            kept.keep(&named);
            let mut less = one.clone();
            less.take_away(gone);
            let either = one.clone().or(other.clone());
            for tool in NAMES.into_iter().chain(["another"]) {
                prop_assert_eq!(one.freeze().allows(tool), one.allow(tool));
                prop_assert_eq!(kept.freeze().allows(tool), one.allow(tool) && named.contains(tool));
                prop_assert_eq!(less.freeze().allows(tool), one.allow(tool) && tool != gone);
                prop_assert_eq!(either.freeze().allows(tool), one.allow(tool) || other.allow(tool));
            }
            prop_assert_eq!(one.freeze().digest() == other.freeze().digest(), one == other);
        }
    }

    #[test]
    fn only_the_whole_is_all() {
        assert!(ToolFilter::all().allows_all());
        assert!(!Tools::Except(BTreeSet::from(["a"])).freeze().allows_all());
        assert!(!Tools::Only(BTreeSet::from(["*"])).freeze().allows("a"));
    }
}
