//! `ssl_verify`, `SSL_VERIFY` and `SSL_CERT_FILE`.

use std::path::PathBuf;

use super::super::environment::Environment;
use super::super::file::LitellmSection;
use super::super::file::server::SslVerify;
use super::super::report::{At, Report};
use super::super::settings::TlsSettings;

/// TLS towards servers that do not say otherwise. The variable wins over the file, as in LiteLLM.
pub(super) fn general(
    section: &LitellmSection,
    at: &At<'_>,
    environment: &Environment,
    report: &mut Report,
) -> TlsSettings {
    let default_file = environment.get("SSL_CERT_FILE").map(PathBuf::from);
    let base = TlsSettings { verify: true, ca_file: default_file };
    if base.ca_file.is_some() {
        check_file(&base, &At::variable("SSL_CERT_FILE"), report);
    }
    if let Some(text) = environment.get("SSL_VERIFY") {
        return apply(Some(&SslVerify::from_text(text)), &base, &At::variable("SSL_VERIFY"), report);
    }
    apply(section.ssl_verify.as_ref(), &base, &at.key("ssl_verify"), report)
}

/// What `value` makes of `base`.
pub(super) fn apply(value: Option<&SslVerify>, base: &TlsSettings, at: &At<'_>, report: &mut Report) -> TlsSettings {
    match value {
        None => base.clone(),
        Some(SslVerify::Switch(true)) => TlsSettings { verify: true, ca_file: base.ca_file.clone() },
        Some(SslVerify::Switch(false)) => {
            report
                .warning(
                    "config.tls_unchecked",
                    at,
                    "certificates are not checked: anyone on the way can read and change traffic",
                )
                .help("name the server's own root certificate instead: `ssl_verify: /path/to/ca.pem`");
            TlsSettings { verify: false, ca_file: base.ca_file.clone() }
        }
        Some(SslVerify::CaFile(path)) => {
            let settings = TlsSettings { verify: true, ca_file: Some(path.into()) };
            check_file(&settings, at, report);
            settings
        }
    }
}

fn check_file(settings: &TlsSettings, at: &At<'_>, report: &mut Report) {
    let Some(path) = &settings.ca_file else { return };
    let shown = path.display();
    match std::fs::read(path) {
        Err(error) => {
            report
                .error("config.unreadable_file", at, format!("cannot read `{shown}`: {error}"))
                .help("give true, false or the path of a PEM file");
        }
        Ok(bytes) if memchr::memmem::find(&bytes, b"-----BEGIN CERTIFICATE-----").is_none() => {
            report
                .error("config.not_a_certificate", at, format!("`{shown}` holds no certificate in PEM form"))
                .help("the file must have a `-----BEGIN CERTIFICATE-----` line");
        }
        Ok(_) => {}
    }
}
