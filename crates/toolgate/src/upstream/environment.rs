//! The environment of a child process, with `${X-HEADER}` filled in from a caller's request.
//!
//! A value that is missing or not clean stops the start for that caller: a server that runs without its credential
//! fails later and says less, and a line break in a variable is a way into whatever reads it. Which variable *names*
//! may take a header at all was decided when the configuration was checked.

use http::header::{HeaderMap, HeaderName};
use secrecy::ExposeSecret;

use super::credential::{CredentialError, LONGEST_VALUE_BYTES, single};
use super::vault;
use crate::auth::vault::Own;
use crate::config::settings::{EnvValue, ServerSettings, StdioCommand};

/// The complete environment, sorted by name.
pub(super) fn render(
    command: &StdioCommand,
    settings: &ServerSettings,
    caller: &HeaderMap,
    own: Own<'_>,
) -> Result<Vec<(String, String)>, CredentialError> {
    let server = settings.name.as_str();
    let value = |value: &EnvValue| match value {
        EnvValue::Fixed(fixed) => Ok(fixed.expose_secret().to_owned()),
        EnvValue::Own(template) => vault::fill(template, settings, own),
        EnvValue::Header { name, default } => match (from_header(name, server, caller)?, default) {
            (Some(sent), _) => Ok(sent),
            (None, Some(default)) => Ok(default.expose_secret().to_owned()),
            (None, None) if caller.contains_key(name) => {
                Err(CredentialError::Empty { server: server.to_owned(), header: name.clone() })
            }
            (None, None) => Err(CredentialError::Missing { server: server.to_owned(), header: name.clone() }),
        },
    };
    command.env.iter().map(|(name, wanted)| Ok((name.clone(), value(wanted)?))).collect()
}

/// Whether any variable comes from a request, so that the environment differs between callers.
pub(super) fn depends_on_caller(command: &StdioCommand) -> bool {
    command.env.values().any(|value| matches!(value, EnvValue::Header { .. } | EnvValue::Own(_)))
}

fn from_header(name: &HeaderName, server: &str, caller: &HeaderMap) -> Result<Option<String>, CredentialError> {
    let Some(value) = single(caller, name, server)? else { return Ok(None) };
    if value.len() > LONGEST_VALUE_BYTES {
        return Err(CredentialError::TooLong { server: server.to_owned(), header: name.clone() });
    }
    let unclean = || CredentialError::Unclean { server: server.to_owned(), header: name.clone() };
    let text = std::str::from_utf8(value.as_bytes()).map_err(|_| unclean())?;
    if !text.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
        return Err(unclean());
    }
    Ok(Some(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderName, HeaderValue};

    use super::{CredentialError, render};
    use crate::auth::testing::caller;
    use crate::auth::vault::Own;
    use crate::config::settings::{EnvValue, Isolation, StdioCommand};
    use crate::upstream::testing::http_server;

    fn command(default: Option<&str>) -> StdioCommand {
        let header = EnvValue::Header {
            name: HeaderName::from_static("x-token"),
            default: default.map(|default| default.to_owned().into()),
        };
        let env = BTreeMap::from([
            ("TOKEN".to_owned(), header),
            ("PATH".to_owned(), EnvValue::Fixed("/bin".to_owned().into())),
        ]);
        StdioCommand { command: "server".to_owned(), args: Vec::new(), env, isolation: Isolation::Shared }
    }

    fn error(kind: fn(String, HeaderName) -> CredentialError) -> CredentialError {
        kind("gh".to_owned(), HeaderName::from_static("x-token"))
    }

    #[test]
    fn a_header_fills_its_variable_or_the_error_names_it() {
        let missing = || error(|server, header| CredentialError::Missing { server, header });
        let empty = || error(|server, header| CredentialError::Empty { server, header });
        let duplicate = || error(|server, header| CredentialError::Duplicate { server, header });
        let unclean = || error(|server, header| CredentialError::Unclean { server, header });
        let too_long = || error(|server, header| CredentialError::TooLong { server, header });
        let long = vec![b'a'; 4097];
        let longest = "a".repeat(4096);
        type Case<'a> = (Vec<&'a [u8]>, Option<&'a str>, Result<&'a str, CredentialError>);
        let cases: Vec<Case<'_>> = vec![
            (vec![b"abc"], None, Ok("abc")),
            (vec![b"Bearer a b"], None, Ok("Bearer a b")),
            (vec![longest.as_bytes()], None, Ok(&longest)),
            (vec![], None, Err(missing())),
            (vec![], Some("fallback"), Ok("fallback")),
            (vec![], Some(""), Ok("")),
            (vec![b""], None, Err(empty())),
            (vec![b"  "], None, Err(empty())),
            (vec![b""], Some("fallback"), Ok("fallback")),
            (vec![b"a", b"b"], None, Err(duplicate())),
            (vec![b"a", b"a"], Some("fallback"), Err(duplicate())),
            (vec![b"a\tb"], None, Err(unclean())),
            (vec![b"a\xffb"], Some("fallback"), Err(unclean())),
            (vec!["\u{e9}".as_bytes()], None, Err(unclean())),
            (vec![&long], None, Err(too_long())),
        ];
        for (sent, default, expected) in cases {
            let mut caller = caller(&[]);
            for value in &sent {
                std::sync::Arc::make_mut(&mut caller.headers)
                    .append("x-token", HeaderValue::from_bytes(value).unwrap());
            }
            let server = http_server("gh", "http://127.0.0.1:9/");
            let got = render(&command(default), &server, &caller.headers, Own::Known(None));
            let expected = expected
                .map(|token| vec![("PATH".to_owned(), "/bin".to_owned()), ("TOKEN".to_owned(), token.to_owned())]);
            assert_eq!(got, expected, "{sent:?} {default:?}");
        }
    }
}
