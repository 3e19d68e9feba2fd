//! What the gateway was told: `config.yaml`, the environment and the command line, checked.

pub mod settings;

pub use settings::Settings;
