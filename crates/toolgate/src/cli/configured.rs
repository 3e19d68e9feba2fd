//! Settings of a configuration without errors, or a failure that says them all.

use super::{Exit, Failure};
use crate::config::{Finding, Loaded, Paint, Settings};

/// The settings, with what else was found.
///
/// # Errors
/// When the configuration cannot be read, or has errors.
pub fn settings(loaded: Loaded) -> Result<(Settings, Vec<Finding>), Failure> {
    let missing = loaded.findings.iter().any(|finding| finding.code == "config.unreadable");
    let Loaded { settings, findings } = loaded;
    match settings {
        Some(settings) => Ok((settings, findings)),
        None => {
            let exit = if missing { Exit::ConfigMissing } else { Exit::ConfigInvalid };
            let report = Loaded { settings: None, findings }.render(Paint::Plain);
            Err(Failure::new(exit, "config-invalid", format!("the configuration has errors\n{report}")))
        }
    }
}
