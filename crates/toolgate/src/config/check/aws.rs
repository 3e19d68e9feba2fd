//! `auth_type: aws_sigv4`.

use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use url::{Host, Url};

use super::super::file::ServerEntry;
use super::super::report::{At, Report};
use super::super::settings::UpstreamAuth;
use super::super::settings::aws::{AwsKeySource, AwsKeys, AwsRole, AwsSigv4, Sts};
use super::Common;
use super::server::http_url;

const AUTH_TYPE: &str = "aws_sigv4";
const STS_VARIABLE: &str = "AWS_ENDPOINT_URL_STS";
const DEFAULT_REGION: &str = "us-east-1";
const DEFAULT_SERVICE: &str = "bedrock-agentcore";

const OWN_KEYS: &str = "set `aws_access_key_id` and `aws_secret_access_key`, or start the gateway with AWS_ACCESS_KEY_ID and \
     AWS_SECRET_ACCESS_KEY, with AWS_WEB_IDENTITY_TOKEN_FILE and AWS_ROLE_ARN, or where there is a shared credentials file; \
     the metadata services of containers and instances are not asked";

const STORED_KEYS: &str = "set `aws_access_key_id` and `aws_secret_access_key`; the gateway's own keys are for servers of the \
     configuration file alone";

/// What is missing where there are some that are none of AWS's, which is an error of its own.
const BAD: &str = "keys as AWS has them";

/// What is missing where there are no keys at all.
const KEYS: &str = "`aws_access_key_id`, `aws_secret_access_key`";

/// Under which names servers of AWS are.
const DOMAINS: [&str; 5] = [".amazonaws.com", ".amazonaws.com.cn", ".amazonaws.eu", ".on.aws", ".api.aws"];

/// What AWS takes as a session's name.
const SESSION_NAME: std::ops::RangeInclusive<usize> = 2..=64;

/// Checks with what requests to the server are signed.
pub(super) fn check(
    name: &str,
    entry: &ServerEntry,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> UpstreamAuth {
    warn_of_unused(entry, at, report);
    let region = region(entry, at, common, report);
    let service = word(entry.aws_service_name.as_deref(), "aws_service_name", at, report);
    if service.as_deref() == Some("s3") {
        let at = at.key("aws_service_name");
        let _ = report.warning("config.other_signature", &at, "S3 wants another signature, and takes none of these");
    }
    let sts = sts(&region, common, report);
    let role = role(name, entry, at, report);
    let keys = match keys(name, entry, at, common, report) {
        Ok(keys) => keys,
        Err(missing) => {
            if missing != BAD {
                report
                    .warning(
                        "config.missing_key",
                        &at.key("auth_type"),
                        format!("requests cannot be signed without {missing}; the server is unavailable"),
                    )
                    .help(if common.may_use_own_keys { OWN_KEYS } else { STORED_KEYS });
            }
            return UpstreamAuth::Incomplete { auth_type: AUTH_TYPE.to_owned(), missing };
        }
    };
    UpstreamAuth::AwsSigv4(Box::new(AwsSigv4 {
        region,
        service: service.unwrap_or_else(|| DEFAULT_SERVICE.to_owned()),
        keys,
        role,
        sts,
    }))
}

/// Those of the entry, or else the gateway's own, in the order in which AWS's programs look for them.
fn keys(
    name: &str,
    entry: &ServerEntry,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> Result<AwsKeySource, String> {
    let id = given(entry.aws_access_key_id.as_deref()).map(str::to_owned);
    let secret = given_secret(entry.aws_secret_access_key.as_ref());
    let token = given_secret(entry.aws_session_token.as_ref());
    match (id, secret) {
        (Some(id), Some(secret)) => {
            let (id_at, token_at) = (at.key("aws_access_key_id"), at.key("aws_session_token"));
            let leaves = |text: &str| text.contains(common.master_key.expose_secret());
            for (text, at) in
                [(Some(id.as_str()), &id_at), (token.as_ref().map(SecretString::expose_secret), &token_at)]
            {
                if text.is_some_and(leaves) {
                    report
                        .error("config.master_key_leaves", at, "the value contains the gateway's master key")
                        .help("the master key is for this gateway alone; give it a key of AWS");
                }
            }
            good(id, secret, token, &id_at, report).map(AwsKeySource::Entry)
        }
        (None, None) if !common.may_use_own_keys => Err(KEYS.to_owned()),
        (None, None) => {
            if token.is_some() {
                let at = at.key_itself("aws_session_token");
                let _ = report.warning("config.unused_key", &at, "has no effect without `aws_access_key_id`");
            }
            of_environment(name, common, report)
        }
        (Some(_), None) => Err("`aws_secret_access_key`".to_owned()),
        (None, Some(_)) => Err("`aws_access_key_id`".to_owned()),
    }
}

fn of_environment(name: &str, common: &Common<'_>, report: &mut Report) -> Result<AwsKeySource, String> {
    const ID: &str = "AWS_ACCESS_KEY_ID";
    let get = |name: &str| common.environment.get(name);
    let secret = |name: &str| get(name).map(SecretString::from);
    match (get(ID), secret("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret_key)) => {
            let token = secret("AWS_SESSION_TOKEN");
            return good(id.to_owned(), secret_key, token, &At::variable(ID), report).map(AwsKeySource::Environment);
        }
        (Some(_), None) => return Err("the variable `AWS_SECRET_ACCESS_KEY`".to_owned()),
        (None, Some(_)) => return Err("the variable `AWS_ACCESS_KEY_ID`".to_owned()),
        (None, None) => {}
    }
    if let (Some(file), Some(arn)) = (get("AWS_WEB_IDENTITY_TOKEN_FILE"), get("AWS_ROLE_ARN")) {
        let session_name = get("AWS_ROLE_SESSION_NAME").map_or_else(|| session_name(name), str::to_owned);
        let role = AwsRole { arn: arn.to_owned(), session_name };
        return Ok(AwsKeySource::WebIdentity { role, token_file: PathBuf::from(file) });
    }
    let home = || get("HOME").map(|home| PathBuf::from(home).join(".aws/credentials"));
    let path = get("AWS_SHARED_CREDENTIALS_FILE").map(PathBuf::from).or_else(home).filter(|path| path.exists());
    match path {
        Some(path) => Ok(AwsKeySource::File { path, profile: get("AWS_PROFILE").unwrap_or("default").to_owned() }),
        None => Err(KEYS.to_owned()),
    }
}

fn good(
    id: String,
    secret: SecretString,
    token: Option<SecretString>,
    at: &At<'_>,
    report: &mut Report,
) -> Result<AwsKeys, String> {
    AwsKeys::new(id, secret, token).ok_or_else(|| {
        report
            .error("config.bad_aws_keys", at, "the access key, its secret or the session token is not one of AWS's")
            .help("a trailing line break or blank in an environment variable is the usual cause");
        BAD.to_owned()
    })
}

fn role(name: &str, entry: &ServerEntry, at: &At<'_>, report: &mut Report) -> Option<AwsRole> {
    let session = given(entry.aws_session_name.as_deref());
    let Some(arn) = given(entry.aws_role_name.as_deref()) else {
        if session.is_some() {
            let at = at.key_itself("aws_session_name");
            let _ = report.warning("config.unused_key", &at, "has no effect without `aws_role_name`");
        }
        return None;
    };
    if !(arn.starts_with("arn:") && arn.contains(":role/") && arn.len() <= 2048 && is_graphic(arn)) {
        report
            .error("config.bad_role", &at.key("aws_role_name"), "not the ARN of a role")
            .help("write it as arn:aws:iam::123456789012:role/name");
    }
    let is_session = |text: &str| SESSION_NAME.contains(&text.len()) && text.chars().all(is_of_session_name);
    if let Some(session) = session.filter(|session| !is_session(session)) {
        report
            .error("config.bad_session_name", &at.key("aws_session_name"), format!("`{session}` is not taken by AWS"))
            .help("use 2 to 64 letters, digits and any of _+=,.@-");
    }
    let session_name = session.map_or_else(|| session_name(name), str::to_owned);
    Some(AwsRole { arn: arn.to_owned(), session_name })
}

/// For a server whose entry does not say what its sessions are called.
fn session_name(server: &str) -> String {
    let name: String = server.chars().map(|c| if is_of_session_name(c) { c } else { '-' }).collect();
    format!("toolgate-{name}").chars().take(*SESSION_NAME.end()).collect()
}

fn is_of_session_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || "_+=,.@-".contains(character)
}

/// What the entry says, or the server's own name, or else the environment. A signature for another region than the one
/// that AWS has in the name is never taken.
fn region(entry: &ServerEntry, at: &At<'_>, common: &Common<'_>, report: &mut Report) -> String {
    let of_url = entry.url.as_deref().and_then(|url| region_in(&Url::parse(url.trim()).ok()?));
    let Some(region) = word(entry.aws_region_name.as_deref(), "aws_region_name", at, report) else {
        let of_environment = || {
            let given = common.environment.get("AWS_REGION").or_else(|| common.environment.get("AWS_DEFAULT_REGION"));
            given.filter(|given| is_word(given)).map(str::to_owned)
        };
        return of_url.or_else(of_environment).unwrap_or_else(|| DEFAULT_REGION.to_owned());
    };
    if let Some(of_url) = of_url.filter(|of_url| *of_url != region) {
        report
            .warning(
                "config.other_region",
                &at.key("aws_region_name"),
                format!("requests are signed for `{region}`, and the URL is in `{of_url}`"),
            )
            .help(format!("write `aws_region_name: {of_url}`, or leave it out"));
    }
    region
}

/// The region in the name of a server of AWS.
fn region_in(url: &Url) -> Option<String> {
    let Some(Host::Domain(host)) = url.host() else { return None };
    let host = DOMAINS.iter().find_map(|domain| host.strip_suffix(domain))?;
    let is_region = |label: &&str| {
        let parts: Vec<_> = label.split('-').collect();
        let [area, middle @ .., number] = parts.as_slice() else { return false };
        let is_letters = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
        (2..=4).contains(&area.len())
            && is_letters(area)
            && !middle.is_empty()
            && middle.iter().all(is_letters)
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && (1..=2).contains(&number.len())
    };
    // What stands before it somebody has chosen, and may look the same.
    host.rsplit('.').find(is_region).map(str::to_owned)
}

fn sts(region: &str, common: &Common<'_>, report: &mut Report) -> Sts {
    let domain = match region {
        _ if region.starts_with("cn-") => "amazonaws.com.cn",
        _ if region.starts_with("eusc-") => "amazonaws.eu",
        _ if region.starts_with("us-iso-") => "c2s.ic.gov",
        _ if region.starts_with("us-isob-") => "sc2s.sgov.gov",
        _ => "amazonaws.com",
    };
    let given = common.environment.get(STS_VARIABLE);
    let given = given.and_then(|url| http_url(url, &At::variable(STS_VARIABLE), report));
    let is_given = given.is_some();
    let own = || {
        Url::parse(&format!("https://sts.{region}.{domain}/")).expect("a region is a word that a host's name can have")
    };
    Sts { endpoint: given.unwrap_or_else(own), is_given, tls: common.tls.clone() }
}

fn word(text: Option<&str>, key: &'static str, at: &At<'_>, report: &mut Report) -> Option<String> {
    let text = given(text)?.trim();
    if !is_word(text) {
        report
            .error("config.unknown_value", &at.key(key), format!("`{text}` is nothing that AWS has"))
            .help("use lower-case letters, digits and `-`, as in us-east-1 or bedrock-agentcore");
        return None;
    }
    Some(text.to_owned())
}

fn is_word(text: &str) -> bool {
    let is_of_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_in_place = !text.starts_with('-') && !text.ends_with('-') && !text.contains("--");
    (1..=63).contains(&text.len()) && text.bytes().all(is_of_word) && is_in_place
}

fn is_graphic(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// An empty text counts as none, as a form sends it.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

fn given_secret(secret: Option<&SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().is_empty()).cloned()
}

fn warn_of_unused(entry: &ServerEntry, at: &At<'_>, report: &mut Report) {
    let authorization =
        entry.static_headers.iter().flatten().any(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    for (key, is_given) in [
        ("auth_value", entry.auth_value.is_some()),
        ("authentication_token", entry.authentication_token.is_some()),
        ("upstream_token_header", entry.upstream_token_header.is_some()),
        ("is_byok", entry.is_byok == Some(true)),
        ("static_headers", authorization),
    ] {
        if is_given {
            let at = at.key_itself(key);
            let _ = report.warning(
                "config.unused_key",
                &at,
                "each request is signed, and the signature is its `Authorization`; this has no effect on it",
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{is_word, region_in, session_name};

    #[test]
    fn a_servers_name_tells_its_region() {
        let cases = [
            ("https://bedrock-agentcore.eu-west-1.amazonaws.com/runtimes/a/invocations", Some("eu-west-1")),
            ("https://g-1.gateway.bedrock-agentcore.us-gov-west-1.amazonaws.com/mcp", Some("us-gov-west-1")),
            ("https://a1.execute-api.cn-north-1.amazonaws.com.cn/", Some("cn-north-1")),
            ("https://my-gate-1.gateway.bedrock-agentcore.us-east-1.amazonaws.com/mcp", Some("us-east-1")),
            ("https://abc.lambda-url.ap-southeast-2.on.aws/", Some("ap-southeast-2")),
            ("https://sts.amazonaws.com/", None),
            ("https://eu-west-1.example.com/", None),
            ("http://10.0.0.1/", None),
        ];
        for (url, region) in cases {
            assert_eq!(region_in(&url.parse().unwrap()).as_deref(), region, "{url}");
        }
    }

    #[test]
    fn a_region_is_nothing_but_a_word() {
        assert!(["us-east-1", "eusc-de-east-1", "1"].into_iter().all(is_word));
        for text in ["", "-a", "a-", "a.b", "a/b", "US", "xn--a", "evil.example/#", "a b", "ä"] {
            assert!(!is_word(text), "{text}");
        }
    }

    #[test]
    fn a_session_is_called_after_the_server() {
        assert_eq!(session_name("my files/ä"), "toolgate-my-files--");
        assert_eq!(session_name(&"a".repeat(90)).len(), 64);
    }
}
