//! The four list methods: our own cursor in, pages of the catalog out.

use bytes::Bytes;
use serde_json::value::RawValue;
use toolgate_mcp::jsonrpc::{self, Id};
use toolgate_mcp::views;

use super::reply::Message;
use crate::auth::CallerId;
use crate::catalog::{Catalog, Kind, ListError, ListedPage, Position, Visit};
use crate::seal::{Purpose, Sealer};

/// What a revision puts into every list, each as the inside of a JSON object that ends with a comma, or empty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Dress<'a> {
    /// Into the result.
    pub(super) result: &'a str,
    /// Into its `_meta`.
    pub(super) meta: &'a str,
}

/// Answers a list request.
pub(super) async fn list(
    catalog: &Catalog,
    sealer: &Sealer,
    kind: Kind,
    visit: Visit<'_>,
    id: &Id,
    params: Option<&RawValue>,
    dress: Dress<'_>,
) -> Result<Message, ListError> {
    let position = position(sealer, &visit.caller.id, kind, params)?;
    let page = catalog.list(kind, visit, position).await?;
    Ok(message(sealer, &visit.caller.id, kind, id, page, dress))
}

/// The answer without asking anybody, for a capability that is switched off.
pub(super) fn empty(kind: Kind, id: &Id) -> Message {
    jsonrpc::result(id, &format!("{{\"{}\":[]}}", kind.field())).into()
}

fn message(sealer: &Sealer, caller: &CallerId, kind: Kind, id: &Id, page: ListedPage, dress: Dress<'_>) -> Message {
    let cursor = page.next.map(|next| sealer.seal(Purpose::Cursor, caller.as_str(), &to_bytes(kind, next)));
    let next = cursor.map_or_else(String::new, |cursor| format!(",\"nextCursor\":\"{cursor}\""));
    let Dress { result, meta } = dress;
    [
        Bytes::from(format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"result\":{{{result}\"{}\":[", page.field)),
        page.items,
        Bytes::from(format!("]{next},\"_meta\":{{{meta}")),
        // Never empty, so what was put before it may end with a comma.
        page.meta.slice(1..),
        Bytes::from_static(b"}}"),
    ]
    .into_iter()
    .collect()
}

/// Where the client's cursor points; `None` without one.
fn position(
    sealer: &Sealer,
    caller: &CallerId,
    kind: Kind,
    params: Option<&RawValue>,
) -> Result<Option<Position>, ListError> {
    let invalid = || ListError::Cursor("it is not one that this gateway gave to this caller for this list");
    let Some(cursor) = views::cursor(params).map_err(|_| ListError::Cursor("it must be a string"))? else {
        return Ok(None);
    };
    let plain = sealer.open(Purpose::Cursor, caller.as_str(), &cursor).ok_or_else(invalid)?;
    from_bytes(kind, &plain).map(Some).ok_or_else(invalid)
}

fn to_bytes(kind: Kind, position: Position) -> [u8; 13] {
    let mut bytes = [0u8; 13];
    bytes[0] = kind as u8;
    bytes[1..5].copy_from_slice(&position.page.to_be_bytes());
    bytes[5..].copy_from_slice(&position.version.to_be_bytes());
    bytes
}

fn from_bytes(kind: Kind, bytes: &[u8]) -> Option<Position> {
    let bytes: &[u8; 13] = bytes.try_into().ok()?;
    (bytes[0] == kind as u8).then(|| Position {
        page: u32::from_be_bytes(bytes[1..5].try_into().expect("four bytes")),
        version: u64::from_be_bytes(bytes[5..].try_into().expect("eight bytes")),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop_assert, prop_assert_eq, proptest};
    use proptest::sample::select;
    use secrecy::SecretString;

    use super::{CallerId, Kind, Position, Purpose, RawValue, Sealer, position, to_bytes};

    proptest! {
        #[test]
        fn a_cursor_leads_its_caller_back_in_its_list_and_nobody_else(
            page in any::<u32>(),
            version in any::<u64>(),
            kind in select(vec![Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates]),
            of in select(vec![Kind::Tools, Kind::Prompts, Kind::Resources, Kind::Templates]),
            changed in any::<String>(),
        ) {
            let sealer = Sealer::new(&SecretString::from("a secret"));
            let (alice, bob) = (CallerId::named("alice"), CallerId::named("bob"));
            let there = Position { page, version };
            let cursor = sealer.seal(Purpose::Cursor, alice.as_str(), &to_bytes(kind, there));
            let read = |caller: &CallerId, of: Kind, cursor: &str| {
                let params = format!(r#"{{"cursor":{}}}"#, toolgate_mcp::jsonrpc::quote(cursor));
                let params: &RawValue = serde_json::from_str(&params).expect("valid JSON");
                position(&sealer, caller, of, Some(params))
            };
            let found = read(&alice, of, &cursor);
            if of == kind {
                prop_assert_eq!(found.expect("our own cursor"), Some(there));
            } else {
                prop_assert!(found.is_err());
            }
            prop_assert!(read(&bob, kind, &cursor).is_err());
            prop_assert!(changed == cursor || read(&alice, kind, &changed).is_err());
        }
    }
}
