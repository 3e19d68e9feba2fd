//! What a user writes and what comes of it.

mod accepted;
mod example;
mod master_keys;
mod refused;
mod watching;

use super::{Environment, Loaded, Paint, Settings, parse};

/// An environment with nothing but a strong master key and a PATH that has no programs.
fn environment() -> Environment {
    [("LITELLM_MASTER_KEY", "sk-0123456789abcdef0123456789abcdef"), ("PATH", "/bin:/usr/bin"), ("HOME", "/home/gate")]
        .into_iter()
        .collect()
}

fn with(more: &[(&str, &str)]) -> Environment {
    environment().with(more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

fn load(text: &str) -> Loaded {
    parse(text, "config.yaml", &environment())
}

/// The settings of a text without errors.
fn settings(text: &str) -> Settings {
    settings_in(text, &environment())
}

fn settings_in(text: &str, environment: &Environment) -> Settings {
    let loaded = parse(text, "config.yaml", environment);
    let report = loaded.render(Paint::Plain);
    loaded.settings.unwrap_or_else(|| panic!("{report}"))
}
