//! The metadata of an authorization server: RFC 8414, and OpenID Connect Discovery where that is all there is.

use bytes::Bytes;
use http::header::{ACCEPT, USER_AGENT};
use http::{Request, StatusCode};
use serde_json::Value;
use toolgate_client::HttpClient;
use url::Url;

use super::endpoint::MOST_BYTES;
use super::shown;
use crate::egress::Reach;

/// The token endpoint that `issuer` names, and what may be connected to for it: whoever names another host than its own
/// names one of the internet.
pub(super) async fn token_endpoint(client: &HttpClient, issuer: &Url, own: Reach) -> Result<(Url, Reach), String> {
    let place = shown(issuer);
    if own.shuts_out(issuer) {
        return Err(format!("{place} is an internal address; declare the server in the configuration file"));
    }
    let mut last = String::new();
    for url in places(issuer) {
        match fetched(client, &url).await {
            Ok(json) => {
                return named(&json, issuer, own).map_err(|why| format!("the metadata of `issuer` {place} {why}"));
            }
            Err(why) => last = why,
        }
    }
    Err(format!("`issuer` {place} has no metadata ({last}); set `token_url` in place of `issuer`"))
}

/// The well-known places, by the order that MCP's authorization gives them.
fn places(issuer: &Url) -> Vec<Url> {
    let path = issuer.path().trim_end_matches('/');
    let paths = [
        format!("/.well-known/oauth-authorization-server{path}"),
        format!("/.well-known/openid-configuration{path}"),
        format!("{path}/.well-known/openid-configuration"),
    ];
    let mut places: Vec<Url> = Vec::new();
    for path in paths {
        let mut url = issuer.clone();
        url.set_path(&path);
        url.set_query(None);
        url.set_fragment(None);
        if !places.contains(&url) {
            places.push(url);
        }
    }
    places
}

async fn fetched(client: &HttpClient, url: &Url) -> Result<Value, String> {
    let place = shown(url);
    let request = Request::get(url.as_str())
        .header(ACCEPT, "application/json")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")))
        .body(Bytes::new())
        .map_err(|error| error.to_string())?;
    let answer = client.exchange(&place, request, MOST_BYTES).await.map_err(|error| error.to_string())?;
    if answer.status != StatusCode::OK {
        return Err(format!("{place} answered HTTP {}", answer.status.as_u16()));
    }
    serde_json::from_slice(&answer.body).map_err(|_| format!("{place} answered something that is not JSON"))
}

/// What the metadata says, if they are the issuer's own (RFC 8414, section 3.3).
fn named(json: &Value, issuer: &Url, own: Reach) -> Result<(Url, Reach), String> {
    let text = |name| json.get(name).and_then(Value::as_str);
    let is_its_own = text("issuer").and_then(|named| Url::parse(named).ok()).is_some_and(|named| same(&named, issuer));
    if !is_its_own {
        return Err("are of another issuer; write `issuer` as they have it".to_owned());
    }
    let endpoint = text("token_endpoint").and_then(|endpoint| Url::parse(endpoint).ok());
    let endpoint = endpoint.ok_or("name no `token_endpoint`")?;
    if endpoint.origin() == issuer.origin() {
        return Ok((endpoint, own));
    }
    if endpoint.scheme() != "https" {
        return Err(format!("name the token endpoint {}, which is not https", shown(&endpoint)));
    }
    Ok((endpoint, Reach::Public))
}

/// A slash at the end is written or not.
fn same(one: &Url, other: &Url) -> bool {
    one.as_str().trim_end_matches('/') == other.as_str().trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use url::Url;

    use super::{named, places};
    use crate::egress::Reach;

    fn url(text: &str) -> Url {
        text.parse().unwrap()
    }

    #[test]
    fn metadata_are_looked_for_where_the_specifications_have_them() {
        let found: Vec<String> = places(&url("https://idp.example/tenant/?q#f")).iter().map(Url::to_string).collect();
        assert_eq!(
            found,
            [
                "https://idp.example/.well-known/oauth-authorization-server/tenant",
                "https://idp.example/.well-known/openid-configuration/tenant",
                "https://idp.example/tenant/.well-known/openid-configuration",
            ]
        );
        assert_eq!(places(&url("https://idp.example")).len(), 2);
    }

    #[test]
    fn a_token_endpoint_is_the_issuers_or_one_of_the_internet() {
        let issuer = url("http://10.0.0.1:8080");
        let of = |issuer_named: &str, endpoint: &str| {
            let json = json!({"issuer": issuer_named, "token_endpoint": endpoint});
            named(&json, &issuer, Reach::Anywhere)
        };
        let own = of("http://10.0.0.1:8080/", "http://10.0.0.1:8080/token").unwrap();
        assert_eq!(own, (url("http://10.0.0.1:8080/token"), Reach::Anywhere));
        let other = of("http://10.0.0.1:8080", "https://idp.example/token").unwrap();
        assert_eq!(other, (url("https://idp.example/token"), Reach::Public));
        assert!(of("http://10.0.0.1:8080", "http://idp.example/token").unwrap_err().contains("not https"));
        assert!(of("https://evil.example", "http://10.0.0.1:8080/token").unwrap_err().contains("another issuer"));
        assert!(named(&json!({"issuer": "http://10.0.0.1:8080"}), &issuer, Reach::Anywhere).is_err());
    }
}
