//! The environment variables the gateway was started with: the only place where `std::env` is read.
//!
//! They are read once, into a value, so that two gateways in one process can have different ones and a test never
//! touches the real ones.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// A copy of the environment, and where the running binary lies.
#[derive(Clone, Default)]
pub struct Environment {
    variables: BTreeMap<String, String>,
    executable: Option<PathBuf>,
}

impl Environment {
    /// The variables of this process. Those that are not UTF-8 are left out.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    pub fn of_process() -> Self {
        let variables = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        Self { variables, executable: std::env::current_exe().ok() }
    }

    /// The value of `name`; an empty one counts as absent, as it does almost everywhere in LiteLLM.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The value of `name` as it is, empty or not.
    pub(crate) fn get_even_empty(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// Whether `name` is switched on: `1`, `true`, `yes` or `on`, in any case.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name)
            .is_some_and(|value| ["1", "true", "yes", "on"].iter().any(|on| value.trim().eq_ignore_ascii_case(on)))
    }

    /// Every variable, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// A copy in which `more` is set too, replacing variables of the same name.
    pub(crate) fn with(&self, more: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut copy = self.clone();
        copy.variables.extend(more);
        copy
    }

    /// The file of the running binary, where that is known.
    pub(crate) fn executable(&self) -> Option<&Path> {
        self.executable.as_deref()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Environment {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(variables: I) -> Self {
        let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into())).collect();
        Self { variables, executable: None }
    }
}

impl fmt::Debug for Environment {
    /// Names only: values are often secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.variables.keys()).finish()
    }
}
