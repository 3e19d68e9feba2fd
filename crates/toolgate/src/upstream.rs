mod addressing;
mod credential;
mod environment;
mod headers;
#[cfg(test)]
pub(crate) mod testing;
pub use credential::CredentialError;
