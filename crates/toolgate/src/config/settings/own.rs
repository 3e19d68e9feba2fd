//! Where a server's entry stands, and what each user has to bring to use it.

use http::HeaderName;
use secrecy::SecretString;

use crate::egress::Reach;

/// Where a server's entry stands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Origin {
    /// In the configuration file.
    #[default]
    File,
    /// In the database, made through the API.
    Database {
        /// Who proposed it, if it was proposed.
        submitted_by: Option<String>,
    },
}

impl Origin {
    /// What may be connected to for a server of this origin.
    #[must_use]
    pub fn reach(&self) -> Reach {
        match self {
            Self::File => Reach::Anywhere,
            Self::Database { submitted_by: None } => Reach::Inside,
            Self::Database { submitted_by: Some(_) } => Reach::Public,
        }
    }
}

/// What each user brings of their own and keeps at the gateway.
#[derive(Debug, Default)]
pub struct UsersOwn {
    /// `is_byok`: the user's credential stands in place of a configured one.
    pub credential: bool,
    /// `env_vars` with scope `user`.
    pub variables: Vec<OwnVariable>,
    /// `static_headers` in which such a variable is named.
    pub headers: Vec<(HeaderName, Template)>,
}

impl UsersOwn {
    /// Whether all users are alike to the server.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        !self.credential && self.variables.is_empty()
    }
}

/// One of `env_vars` with scope `user`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnVariable {
    /// The name in `${NAME}`.
    pub name: String,
    /// What users are told about it.
    pub description: Option<String>,
}

/// A text in which values of the user's own are to be filled in.
#[derive(Debug)]
pub struct Template(pub Vec<Piece>);

/// A part of a [`Template`].
#[derive(Debug)]
pub enum Piece {
    /// As it was written.
    Text(SecretString),
    /// The user's value for the variable of this name.
    Own(String),
}

impl Template {
    /// The names of the variables in it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Own(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }
}
