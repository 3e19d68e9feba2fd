//! Bodies and queries of management requests.
//!
//! LiteLLM ignores fields that it does not know, so that a slip of a name in a bound leaves the bound out. Here such a
//! field is refused, with the name that was probably meant; so is a field that comes twice.

use std::collections::BTreeSet;
use std::fmt;

use axum::body::Body;
use axum::extract::{FromRequest, FromRequestParts, Query};
use bytes::Bytes;
use http::request::Parts;
use http::{Request, Uri};
use serde::Deserialize;
use serde::de::value::Error as CaptureError;
use serde::de::{DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::AdminError;
use crate::body::{self, Caps};
use crate::config::suggest;
use crate::gateway::Gateway;

/// The longest body of a management request, in bytes, where the configuration allows longer ones.
const MAX_BYTES: usize = 1024 * 1024;

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FieldError {
    /// It is no JSON object at all: 400.
    #[error("the body is not a JSON object: {0}")]
    NotJson(String),
    /// 422
    #[error("unknown field `{name}`{}", meant(.nearest))]
    Unknown {
        /// The field.
        name: String,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// 422
    #[error("`{path}`: {why}")]
    Wrong {
        /// Where, with dots between names.
        path: String,
        /// What is wrong there.
        why: String,
    },
}

fn meant(nearest: &Option<&str>) -> String {
    nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?"))
}

impl FieldError {
    /// The error for the value of one field.
    pub fn wrong(path: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Wrong { path: path.into(), why: why.to_string() }
    }

    /// The field, where it is known.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::NotJson(_) => None,
            Self::Unknown { name, .. } => Some(name),
            Self::Wrong { path, .. } => Some(path),
        }
    }
}

/// The body as a struct. Without any body the struct is made from `{}`.
///
/// To be taken after [`super::Allowed`]: nobody's body is read before they are let in.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Gateway> for JsonBody<T> {
    type Rejection = AdminError;

    async fn from_request(request: Request<Body>, gateway: &Gateway) -> Result<Self, AdminError> {
        let caps = Caps::from(&gateway.snapshot().settings.limits);
        let caps = Caps { bytes: caps.bytes.min(MAX_BYTES), ..caps };
        let (parts, body) = request.into_parts();
        let bytes = if http_body::Body::is_end_stream(&body) {
            Bytes::from_static(b"{}")
        } else {
            body::read_json(&parts.headers, body, caps).await?
        };
        Ok(Self(parse(&bytes)?))
    }
}

/// The query as a struct, by the same rules.
pub struct QueryOf<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<Gateway> for QueryOf<T> {
    type Rejection = AdminError;

    async fn from_request_parts(parts: &mut Parts, _: &Gateway) -> Result<Self, AdminError> {
        Ok(Self(parse_query(&parts.uri)?))
    }
}

/// Reads a body.
///
/// # Errors
/// [`FieldError`] with the first thing that is wrong.
pub fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, FieldError> {
    if !toolgate_mcp::depth::within(bytes, toolgate_mcp::depth::MAX_DEPTH) {
        return Err(FieldError::NotJson("it is nested too deeply".to_owned()));
    }
    let text = std::str::from_utf8(bytes).map_err(|_| FieldError::NotJson("it is no UTF-8".to_owned()))?;
    let names: Names = serde_json::from_str(text).map_err(|error| FieldError::NotJson(error.to_string()))?;
    refuse_unknown::<T>(names.0.iter().map(String::as_str))?;
    let mut json = serde_json::Deserializer::from_str(text);
    serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let path = error.path().to_string();
        FieldError::wrong(path, without_place(&error.into_inner().to_string()))
    })
}

/// Reads the query of a URI.
///
/// # Errors
/// [`FieldError`] with the first thing that is wrong.
pub fn parse_query<T: DeserializeOwned>(uri: &Uri) -> Result<T, FieldError> {
    let names = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).map(|(name, _)| name);
    refuse_unknown::<T>(names)?;
    match Query::try_from_uri(uri) {
        Ok(Query(query)) => Ok(query),
        Err(error) => Err(FieldError::wrong("query", error.body_text())),
    }
}

fn refuse_unknown<'de, T: Deserialize<'de>>(names: impl Iterator<Item = impl AsRef<str>>) -> Result<(), FieldError> {
    let Some(fields) = fields_of::<T>() else { return Ok(()) };
    for name in names {
        let name = name.as_ref();
        if !fields.contains(&name) {
            let nearest = suggest::nearest(name, fields.iter().copied());
            return Err(FieldError::Unknown { name: shortened(name), nearest });
        }
    }
    Ok(())
}

/// A name as it is told back: what somebody sent may be long.
fn shortened(name: &str) -> String {
    name.chars().take(64).collect()
}

/// `serde_json` says where in the text, which says nothing to people beside the path.
fn without_place(error: &str) -> &str {
    error.rsplit_once(" at line ").map_or(error, |(text, _)| text)
}

/// The names of an object's fields; one that comes twice is an error.
struct Names(BTreeSet<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(NamesVisitor)
    }
}

struct NamesVisitor;

impl<'de> Visitor<'de> for NamesVisitor {
    type Value = Names;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Names, A::Error> {
        let mut names = BTreeSet::new();
        while let Some((name, _)) = map.next_entry::<String, IgnoredAny>()? {
            if names.contains(&name) {
                return Err(A::Error::custom(format_args!("the field `{}` comes twice", shortened(&name))));
            }
            names.insert(name);
        }
        Ok(Names(names))
    }
}

/// Whether a body of this type takes fields of known names only.
pub(crate) fn takes_named_fields<T: DeserializeOwned>() -> bool {
    fields_of::<T>().is_some()
}

/// The names of a struct's fields, as it tells them to whatever it is read from; `None` for what is no plain struct.
fn fields_of<'de, T: Deserialize<'de>>() -> Option<&'static [&'static str]> {
    let mut fields = None;
    let read = T::deserialize(Capture(&mut fields));
    debug_assert!(read.is_err(), "nothing can be read from the names alone");
    fields
}

struct Capture<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> Deserializer<'de> for Capture<'_> {
    type Error = CaptureError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, CaptureError> {
        Err(CaptureError::custom("no struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, CaptureError> {
        *self.0 = Some(fields);
        Err(CaptureError::custom("a struct"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use http::Uri;
    use serde::Deserialize;
    use serde_json::{Map, Value};

    use super::{parse, parse_query};

    #[derive(Debug, Default, Deserialize)]
    #[serde(default)]
    struct Sent {
        max_budget: Option<f64>,
        models: Option<Vec<String>>,
        metadata: Option<Map<String, Value>>,
        page: Option<u32>,
    }

    #[test]
    fn what_is_wrong_with_a_body_is_said_by_name() {
        let cases = [
            (r#"{"max_budget": 1.5, "models": ["a"], "metadata": {"any": "thing"}}"#, ""),
            ("{}", ""),
            (r#"{"max_bugdet": 1}"#, "unknown field `max_bugdet`; did you mean `max_budget`?"),
            (r#"{"colour": 1}"#, "unknown field `colour`"),
            (r#"{"max_budget": "much"}"#, "`max_budget`: invalid type: string \"much\", expected f64"),
            (r#"{"models": ["a", 1]}"#, "`models[1]`: invalid type: integer `1`, expected a string"),
            (
                r#"{"max_budget": 1, "max_budget": 2}"#,
                "the body is not a JSON object: the field `max_budget` comes twice at line 1 column 34",
            ),
            ("[]", "the body is not a JSON object: invalid type: sequence, expected an object at line 1 column 0"),
        ];
        for (body, expected) in cases {
            let found = parse::<Sent>(body.as_bytes()).map_or_else(|error| error.to_string(), |_| String::new());
            assert_eq!(found, expected, "{body}");
        }
        assert!(parse::<Sent>(b"{\"models\": [\"\xff\"]}").is_err());
        assert!(parse::<Sent>("[".repeat(100_000).as_bytes()).is_err());
    }

    #[test]
    fn what_is_wrong_with_a_query_is_said_by_name() {
        let of = |query: &str| parse_query::<Sent>(&format!("/list?{query}").parse::<Uri>().unwrap());
        assert_eq!(of("page=2").unwrap().page, Some(2));
        assert_eq!(of("").unwrap().page, None);
        assert_eq!(of("pages=2").unwrap_err().to_string(), "unknown field `pages`; did you mean `page`?");
        assert!(of("page=two").unwrap_err().to_string().contains("page"));
        assert!(of("page=1&page=2").is_err());
    }
}
