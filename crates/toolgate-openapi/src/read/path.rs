//! A path as pieces.

use crate::encode;
use crate::operation::Piece;

/// The pieces of a path, and the query that some descriptions write into it.
///
/// # Errors
/// When it could lead out of the API.
pub(super) fn template(path: &str) -> Result<(Vec<Piece>, Option<String>), String> {
    if path.chars().any(char::is_control) {
        return Err("its path holds control characters".to_owned());
    }
    // Some tell operations on one path from each other by a fragment, which never goes to a server.
    let path = path.split('#').next().unwrap_or_default();
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(encode::literal_query(query)).filter(|query| !query.is_empty())),
        None => (path, None),
    };
    let mut pieces = Vec::new();
    let mut rest = path;
    if !rest.starts_with('/') {
        pieces.push(Piece::Literal("/".to_owned()));
    }
    while let Some(open) = rest.find('{') {
        let Some(close) = rest[open..].find('}') else { break };
        let name = &rest[open + 1..open + close];
        if open > 0 {
            pieces.push(Piece::Literal(encode::literal_path(&rest[..open])));
        }
        pieces.push(Piece::Variable(name.to_owned()));
        rest = &rest[open + close + 1..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(encode::literal_path(rest)));
    }
    let fixed: String = pieces
        .iter()
        .map(|piece| match piece {
            Piece::Literal(text) => text.as_str(),
            Piece::Variable(_) => "x",
        })
        .collect();
    if encode::leaves(&fixed) {
        return Err("its path holds `.` or `..` and could lead out of the API".to_owned());
    }
    Ok((pieces, query))
}

#[cfg(test)]
mod tests {
    use super::{Piece, template};

    fn text(path: &str) -> Result<String, String> {
        let (pieces, query) = template(path)?;
        let pieces: Vec<String> = pieces
            .into_iter()
            .map(|piece| match piece {
                Piece::Literal(text) => text,
                Piece::Variable(name) => format!("<{name}>"),
            })
            .collect();
        Ok(format!("{}{}", pieces.join("|"), query.map(|query| format!(" ?{query}")).unwrap_or_default()))
    }

    #[test]
    fn a_path_is_literals_and_variables() {
        let cases = [
            ("/pets/{id}", "/pets/|<id>"),
            ("/a/{x}-{y}.json", "/a/|<x>|-|<y>|.json"),
            ("pets", "/|pets"),
            ("/a b/é", "/a%20b/%C3%A9"),
            ("/q?action=Go&x={y}", "/q ?action=Go&x=%7By%7D"),
            ("/#X-Target=Svc.Op", "/"),
            ("/half/{open", "/half/%7Bopen"),
        ];
        for (path, expected) in cases {
            assert_eq!(text(path).as_deref(), Ok(expected), "{path}");
        }
    }

    #[test]
    fn a_path_that_leaves_the_api_is_refused() {
        for path in ["/../admin", "/a/./b", "/a/%2e%2e/b", "/a/..%2fb", "/a\nb", "/a/..;/b"] {
            assert!(text(path).is_err(), "{path}");
        }
    }
}
