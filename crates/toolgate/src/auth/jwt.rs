//! JSON Web Tokens as credentials: whether one is good, and what it says. No I/O; keys are handed in.
//!
//! Only signatures of asymmetric keys are taken, with the algorithm of the key: a token that says `none`, or HS256 with
//! somebody's public key, is refused before anything is computed. Keys that a token brings along (`jwk`, `jku`, `x5u`) are
//! not looked at.

use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Map, Value};

use crate::config::settings::jwt::Issuer;

/// The longest token.
const MAX_BYTES: usize = 16 * 1024;

/// How far clocks may be apart, in seconds.
const LEEWAY_S: f64 = 30.0;

/// What a token says.
pub type Claims = Map<String, Value>;

/// A token as it came, of which nothing is known to be true yet.
pub struct Presented<'t> {
    text: &'t str,
    algorithm: Algorithm,
    kid: Option<String>,
    issuer: Option<String>,
}

/// Why a token is not good. For logs and the audit; the caller is told as with any other bad key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadToken {
    /// It is no token, or one of a kind that is not taken.
    #[error("token: not a signed JWT of a kind that is taken")]
    Shape,
    /// Nobody who is trusted made it.
    #[error("token: unknown issuer")]
    Issuer,
    /// It is signed with a key that the issuer does not have.
    #[error("token: unknown key")]
    Key,
    /// The signature is wrong.
    #[error("token: bad signature")]
    Signature,
    /// It is not good any more.
    #[error("token: expired")]
    Expired,
    /// It is not good yet.
    #[error("token: not valid yet")]
    NotYet,
    /// It was made for somebody else.
    #[error("token: other audience")]
    Audience,
}

/// Whether a credential looks like a token; only then are keys of the gateway not looked for.
#[must_use]
pub fn is_token(credential: &str) -> bool {
    credential.starts_with("eyJ") && credential.split('.').count() == 3
}

impl<'t> Presented<'t> {
    /// Reads what must be known to find the key.
    ///
    /// # Errors
    /// [`BadToken::Shape`].
    pub fn read(text: &'t str) -> Result<Self, BadToken> {
        if text.len() > MAX_BYTES {
            return Err(BadToken::Shape);
        }
        let header = jsonwebtoken::decode_header(text).map_err(|_| BadToken::Shape)?;
        let is_symmetric = matches!(header.alg, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        // An assertion (ID-JAG) is exchanged for a token, and is none itself. What `crit` names must be understood.
        let is_other = header.typ.as_deref() == Some("oauth-id-jag+jwt") || header.crit.is_some();
        if is_symmetric || is_other {
            return Err(BadToken::Shape);
        }
        let claims: Claims = jsonwebtoken::dangerous::insecure_decode_claims(text).map_err(|_| BadToken::Shape)?;
        let issuer = claims.get("iss").and_then(Value::as_str).map(str::to_owned);
        Ok(Self { text, algorithm: header.alg, kid: header.kid, issuer })
    }

    /// Whose it says it is: the first of `issuers` that would take it.
    #[must_use]
    pub fn issuer<'i>(&self, issuers: &'i [Issuer]) -> Option<&'i Issuer> {
        let takes = |issuer: &&Issuer| issuer.issuer.as_ref().is_none_or(|name| Some(name) == self.issuer.as_ref());
        issuers.iter().find(takes)
    }

    /// The key of a set that it says it is signed with. Without a name it must be the only one of its kind.
    #[must_use]
    pub fn key<'k>(&self, keys: &'k JwkSet) -> Option<&'k Jwk> {
        let mut fitting = keys.keys.iter().filter(|key| self.fits(key));
        match &self.kid {
            Some(kid) => fitting.find(|key| key.common.key_id.as_ref() == Some(kid)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }

    fn fits(&self, key: &Jwk) -> bool {
        let is_kind = match &key.algorithm {
            AlgorithmParameters::RSA(_) => matches!(
                self.algorithm,
                Algorithm::RS256
                    | Algorithm::RS384
                    | Algorithm::RS512
                    | Algorithm::PS256
                    | Algorithm::PS384
                    | Algorithm::PS512
            ),
            AlgorithmParameters::EllipticCurve(_) => matches!(self.algorithm, Algorithm::ES256 | Algorithm::ES384),
            AlgorithmParameters::OctetKeyPair(_) => self.algorithm == Algorithm::EdDSA,
            _ => false,
        };
        let is_named = key
            .common
            .key_algorithm
            .is_none_or(|algorithm| serde_json::to_value(algorithm).ok() == serde_json::to_value(self.algorithm).ok());
        let is_for_signatures = !matches!(key.common.public_key_use, Some(PublicKeyUse::Encryption));
        is_kind && is_named && is_for_signatures
    }

    /// What it says, if `key` signed it, it is for this gateway and good at `now`, in seconds since 1970.
    ///
    /// # Errors
    /// [`BadToken`].
    pub fn verified(&self, key: &Jwk, issuer: &Issuer, now: i64) -> Result<Claims, BadToken> {
        let key = DecodingKey::from_jwk(key).map_err(|_| BadToken::Key)?;
        let mut signature_alone = Validation::new(self.algorithm);
        signature_alone.validate_exp = false;
        signature_alone.validate_aud = false;
        signature_alone.required_spec_claims.clear();
        let claims: Claims =
            jsonwebtoken::decode(self.text, &key, &signature_alone).map_err(|_| BadToken::Signature)?.claims;
        check(&claims, issuer, now).map(|()| claims)
    }
}

fn check(claims: &Claims, issuer: &Issuer, now: i64) -> Result<(), BadToken> {
    #[expect(clippy::cast_precision_loss, reason = "seconds since 1970 are far below 2^53")]
    let now = now as f64;
    let expires = claims.get("exp").and_then(Value::as_f64).ok_or(BadToken::Expired)?;
    if expires + LEEWAY_S <= now {
        return Err(BadToken::Expired);
    }
    for claim in ["nbf", "iat"] {
        let from = match claims.get(claim) {
            None => continue,
            Some(from) => from.as_f64().ok_or(BadToken::NotYet)?,
        };
        if from > now + LEEWAY_S {
            return Err(BadToken::NotYet);
        }
    }
    if let Some(name) = &issuer.issuer
        && claims.get("iss").and_then(Value::as_str) != Some(name)
    {
        return Err(BadToken::Issuer);
    }
    let Some(ours) = &issuer.audience else { return Ok(()) };
    let is_ours = |audience: &Value| audience.as_str().is_some_and(|one| ours.iter().any(|our| our == one));
    let is_for_us = match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(is_ours),
        Some(one) => is_ours(one),
        None => false,
    };
    if is_for_us { Ok(()) } else { Err(BadToken::Audience) }
}

/// The claim at a path, with dots between names; a claim whose own name has dots goes before.
#[must_use]
pub fn claim<'c>(claims: &'c Claims, path: &str) -> Option<&'c Value> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    rest.split('.').try_fold(claims.get(first)?, |value, name| value.get(name))
}

/// A claim as one text; the first of a list.
#[must_use]
pub fn text(claims: &Claims, path: Option<&String>) -> Option<String> {
    let value = claim(claims, path?)?;
    let value = value.as_array().map_or(Some(value), |all| all.first())?;
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A claim as a list of texts: a list, or one text with blanks between.
#[must_use]
pub fn texts(claims: &Claims, path: &str) -> Vec<String> {
    match claim(claims, path) {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(value: Value) -> Claims {
        value.as_object().unwrap().clone()
    }

    fn issuer() -> Issuer {
        Issuer {
            issuer: Some("https://idp".to_owned()),
            keys: Vec::new(),
            audience: Some(vec!["gate".to_owned()]),
            fields: Default::default(),
        }
    }

    #[test]
    fn claims_are_held_to_time_issuer_and_audience() {
        let good = json!({"iss": "https://idp", "aud": "gate", "exp": 1_000});
        let with = |name: &str, value: Value| {
            let mut claims = claims(good.clone());
            claims.insert(name.to_owned(), value);
            claims
        };
        let cases = [
            (claims(good.clone()), Ok(())),
            (with("aud", json!(["other", "gate"])), Ok(())),
            (with("aud", json!(["other"])), Err(BadToken::Audience)),
            (with("aud", json!("gate2")), Err(BadToken::Audience)),
            (with("aud", json!(null)), Err(BadToken::Audience)),
            (with("iss", json!("https://idp/")), Err(BadToken::Issuer)),
            (with("exp", json!(970)), Err(BadToken::Expired)),
            (with("exp", json!(971)), Ok(())),
            (with("exp", json!("1000")), Err(BadToken::Expired)),
            (with("exp", json!(null)), Err(BadToken::Expired)),
            (with("nbf", json!(1_030)), Ok(())),
            (with("nbf", json!(1_031)), Err(BadToken::NotYet)),
            (with("nbf", json!("soon")), Err(BadToken::NotYet)),
            (with("iat", json!(2_000)), Err(BadToken::NotYet)),
        ];
        for (claims, expected) in cases {
            assert_eq!(check(&claims, &issuer(), 1_000), expected, "{claims:?}");
        }
    }

    #[test]
    fn what_is_no_asymmetric_token_is_refused_unread() {
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text);
        for header in [
            r#"{"alg":"none"}"#,
            r#"{"alg":"NONE"}"#,
            r#"{"alg":"HS256"}"#,
            r#"{"typ":"JWT"}"#,
            r#"{"alg":"RS256","typ":"oauth-id-jag+jwt"}"#,
            r#"{"alg":"RS256","crit":["exp"]}"#,
        ] {
            let token = format!("{}.{}.AAAA", encode(header), encode(r#"{"iss":"https://idp"}"#));
            assert!(is_token(&token));
            assert!(Presented::read(&token).is_err(), "{header}");
        }
        assert!(Presented::read(&format!("eyJ{}.a.b", "A".repeat(MAX_BYTES))).is_err());
        for key in ["sk-1234", "eyJabc", "eyJ.a", "a.b.c"] {
            assert!(!is_token(key), "{key}");
        }
    }

    #[test]
    fn claims_are_found_by_path() {
        let claims =
            claims(json!({"a": {"b": {"c": "deep"}}, "x.y": "flat", "list": ["one", "two"], "n": 7, "s": "p q"}));
        let one = |path: &str| text(&claims, Some(&path.to_owned()));
        assert_eq!(one("a.b.c").as_deref(), Some("deep"));
        assert_eq!(
            (one("x.y").as_deref(), one("list").as_deref(), one("n").as_deref()),
            (Some("flat"), Some("one"), Some("7"))
        );
        assert_eq!((one("a.b"), one("none"), text(&claims, None)), (None, None, None));
        assert_eq!(
            (texts(&claims, "list"), texts(&claims, "s")),
            (vec!["one".into(), "two".into()], vec!["p".into(), "q".into()])
        );
    }
}
