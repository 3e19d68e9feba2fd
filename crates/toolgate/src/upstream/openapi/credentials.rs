//! The credential where the API looks for it.
//!
//! The gateway's headers are what every server gets ([`crate::upstream::headers`]). For `auth_type: api_key` the
//! description says where its key goes; where it does not, the key goes as LiteLLM sends it to an OpenAPI server.

use http::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use toolgate_openapi::{Api, KeyPlace, Operation, Scheme};
use url::Url;

use crate::config::settings::{AuthScheme, ServerSettings, UpstreamAuth};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Puts the credential of a request where the description wants it. `headers` are the gateway's for this server.
pub(super) fn place(
    server: &ServerSettings,
    api: &Api,
    operation: &Operation,
    headers: &mut HeaderMap,
    url: &mut Url,
    cookies: &mut Vec<String>,
) {
    let UpstreamAuth::Static { scheme: AuthScheme::ApiKey, header: None, .. } = &server.auth else { return };
    // `static_headers` may say where it goes, too.
    if server.static_headers.iter().any(|(name, _)| *name == API_KEY) {
        return;
    }
    let Some(key) = headers.get(API_KEY).cloned() else { return };
    let places = places(api, operation);
    if places.is_empty() {
        headers.remove(API_KEY);
        if !headers.contains_key(AUTHORIZATION) {
            let value = [b"ApiKey ", key.as_bytes()].concat();
            if let Ok(mut value) = HeaderValue::from_bytes(&value) {
                value.set_sensitive(true);
                headers.insert(AUTHORIZATION, value);
            }
        }
        return;
    }
    if !places.iter().any(|(place, name)| *place == KeyPlace::Header && name.eq_ignore_ascii_case(API_KEY.as_str())) {
        headers.remove(API_KEY);
    }
    let text = String::from_utf8_lossy(key.as_bytes()).into_owned();
    for (place, name) in places {
        match place {
            KeyPlace::Header => {
                if let Ok(name) = HeaderName::from_bytes(name.as_bytes()) {
                    headers.insert(name, key.clone());
                }
            }
            KeyPlace::Query => {
                url.query_pairs_mut().append_pair(name, &text);
            }
            KeyPlace::Cookie => cookies.push(format!("{name}={}", cookie_value(&text))),
        }
    }
}

/// Where the operation wants its API keys: what its first way in with a key says, or else what the description has.
fn places<'a>(api: &'a Api, operation: &'a Operation) -> Vec<(KeyPlace, &'a str)> {
    let key = |name: &'a String| match api.schemes.get(name) {
        Some(Scheme::ApiKey { place, name }) => Some((*place, name.as_str())),
        _ => None,
    };
    let of_operation = operation.security.iter().map(|names| names.iter().filter_map(key).collect::<Vec<_>>());
    if let Some(places) = of_operation.into_iter().find(|places| !places.is_empty()) {
        return places;
    }
    // Many descriptions name their scheme and forget to say which operations want it.
    let mut all = api.schemes.keys().filter_map(key);
    match (operation.security.is_empty(), all.next(), all.next()) {
        (true, Some(only), None) => vec![only],
        _ => Vec::new(),
    }
}

fn cookie_value(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' | b'"' | b',' | b';' | b'\\' | 0..=0x1f | 0x7f.. => format!("%{byte:02X}"),
            byte => char::from(byte).to_string(),
        })
        .collect()
}
