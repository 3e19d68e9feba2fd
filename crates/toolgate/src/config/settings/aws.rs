//! How requests to a server of AWS are signed.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::Url;

use super::TlsSettings;

/// `auth_type: aws_sigv4`: each request is signed with Signature Version 4, and all callers use the server so.
#[derive(Debug, Clone)]
pub struct AwsSigv4 {
    /// `aws_region_name`, or what stands for it.
    pub region: String,
    /// `aws_service_name`.
    pub service: String,
    /// Whose keys.
    pub keys: AwsKeySource,
    /// `aws_role_name`: whose keys those are exchanged for.
    pub role: Option<AwsRole>,
    /// Where they are exchanged.
    pub sts: Sts,
}

/// Where the keys come from that sign, or that stand for the role.
#[derive(Debug, Clone)]
pub enum AwsKeySource {
    /// `aws_access_key_id` and its companions.
    Entry(AwsKeys),
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment(AwsKeys),
    /// `AWS_WEB_IDENTITY_TOKEN_FILE` and `AWS_ROLE_ARN`: what a Kubernetes service account is given.
    WebIdentity {
        /// The role of the service account.
        role: AwsRole,
        /// A file that somebody writes anew before the token in it ends.
        token_file: PathBuf,
    },
    /// The shared credentials file.
    File {
        /// `AWS_SHARED_CREDENTIALS_FILE`, or `~/.aws/credentials`.
        path: PathBuf,
        /// `AWS_PROFILE`, or `default`.
        profile: String,
    },
}

/// An access key, with a session token if it is a temporary one. Each is text that a header can hold.
#[derive(Debug, Clone)]
pub struct AwsKeys {
    /// The access key's id, which signatures name.
    pub access_key_id: String,
    /// The secret, which stays here.
    pub secret_access_key: SecretString,
    /// What goes along with a temporary key.
    pub session_token: Option<SecretString>,
}

impl AwsKeys {
    /// The keys, if they are such as a header can hold.
    #[must_use]
    pub fn new(access_key_id: String, secret: SecretString, session_token: Option<SecretString>) -> Option<Self> {
        let is_id = |id: &str| {
            (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        };
        let is_text = |text: &SecretString| {
            let text = text.expose_secret();
            (1..=16 * 1024).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let is_good = is_id(&access_key_id) && is_text(&secret) && session_token.as_ref().is_none_or(is_text);
        is_good.then_some(Self { access_key_id, secret_access_key: secret, session_token })
    }
}

/// A role to assume.
#[derive(Debug, Clone)]
pub struct AwsRole {
    /// Its ARN.
    pub arn: String,
    /// What its use is called in AWS's own log.
    pub session_name: String,
}

/// The Security Token Service.
#[derive(Debug, Clone)]
pub struct Sts {
    /// The region's own, or what `AWS_ENDPOINT_URL_STS` says.
    pub endpoint: Url,
    /// Whether that variable says it.
    pub is_given: bool,
    /// TLS with it, which is not what the server's entry has.
    pub tls: TlsSettings,
}
