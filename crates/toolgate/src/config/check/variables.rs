//! `env_vars`: values for `${NAME}` in `static_headers` and in a child's environment, the same for all or each user's own.

use std::collections::BTreeMap;

use secrecy::{ExposeSecret, SecretString};

use super::super::file::ServerEntry;
use super::super::file::server::EnvVarScope;
use super::super::report::{At, Report};
use super::super::settings::{OwnVariable, Piece, Template};

/// The `env_vars` of one server.
pub(super) struct Variables<'e> {
    global: BTreeMap<&'e str, &'e str>,
    of_users: Vec<OwnVariable>,
}

/// A text after its variables were looked up.
pub(super) enum Filled {
    /// The same for all callers.
    Fixed(String),
    /// With values of the user's own in it.
    Own(Template),
}

impl Filled {
    /// Whether a part that is the same for all holds `text`.
    pub(super) fn holds(&self, text: &str) -> bool {
        match self {
            Self::Fixed(filled) => filled.contains(text),
            Self::Own(Template(pieces)) => {
                pieces.iter().any(|piece| matches!(piece, Piece::Text(part) if part.expose_secret().contains(text)))
            }
        }
    }
}

impl<'e> Variables<'e> {
    pub(super) fn read(entry: &'e ServerEntry, at: &At<'_>, report: &mut Report) -> Self {
        let at = at.key("env_vars");
        let mut variables = Self { global: BTreeMap::new(), of_users: Vec::new() };
        for (index, variable) in entry.env_vars.iter().flatten().enumerate() {
            let at = at.index(index);
            let Some(name) = variable.name.as_deref().filter(|name| is_variable_name(name)) else {
                report
                    .error("config.bad_variable_name", &at.key("name"), "`name` is missing or not a variable's name")
                    .help("use letters, digits and `_`, not beginning with a digit");
                continue;
            };
            let value = variable.value.as_ref().map(SecretString::expose_secret).unwrap_or_default();
            match variable.scope {
                Some(EnvVarScope::User) if !variables.is_a_users(name) => {
                    let description = variable.description.clone();
                    variables.of_users.push(OwnVariable { name: name.to_owned(), description });
                }
                Some(EnvVarScope::User) => {}
                Some(EnvVarScope::Global) | None => {
                    variables.global.insert(name, value);
                }
            }
        }
        // Where both are there, a value for all goes before each user's own, as in LiteLLM.
        let Self { global, of_users } = &mut variables;
        of_users.retain(|own| global.get(own.name.as_str()).is_none_or(|value| value.is_empty()));
        global.retain(|name, _| of_users.iter().all(|own| own.name != *name));
        variables
    }

    /// Those of which each user has a value.
    pub(super) fn of_users(&self) -> Vec<OwnVariable> {
        self.of_users.clone()
    }

    pub(super) fn is_defined(&self, name: &str) -> bool {
        self.global.contains_key(name) || self.is_a_users(name)
    }

    fn is_a_users(&self, name: &str) -> bool {
        self.of_users.iter().any(|own| own.name == name)
    }

    /// Replaces `${NAME}`. A name that nobody defines stays as it is, as in LiteLLM.
    pub(super) fn fill(&self, text: &str, at: &At<'_>, report: &mut Report) -> Filled {
        let (mut pieces, mut fixed) = (Vec::new(), String::with_capacity(text.len()));
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            fixed.push_str(before);
            let Some(name) = after.split_once('}').map(|(name, _)| name).filter(|name| is_variable_name(name)) else {
                fixed.push_str("${");
                rest = after;
                continue;
            };
            rest = &after[name.len() + 1..];
            if let Some(value) = self.global.get(name) {
                fixed.push_str(value);
            } else if self.is_a_users(name) {
                pieces.push(Piece::Text(std::mem::take(&mut fixed).into()));
                pieces.push(Piece::Own(name.to_owned()));
            } else {
                report
                    .warning(
                        "config.undefined_variable",
                        at,
                        format!("nothing defines `${{{name}}}`; it is sent as written"),
                    )
                    .help(format!("add it to `env_vars`, or write the value as os.environ/{name}"));
                fixed.extend(["${", name, "}"]);
            }
        }
        fixed.push_str(rest);
        if pieces.is_empty() {
            return Filled::Fixed(fixed);
        }
        pieces.push(Piece::Text(fixed.into()));
        Filled::Own(Template(pieces))
    }
}

pub(super) fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
