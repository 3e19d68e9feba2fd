//! What must hold for any token. The property tests and a fuzz target both call these.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Purpose, Sealer};

/// What was sealed comes back for its purpose and owner and for nobody else, and not when anything of it was changed.
pub(super) fn sealed_and_changed(
    ours: &Sealer,
    state: &[u8],
    owner: &str,
    other: &str,
    (bit, at): (usize, usize),
    by: u8,
) {
    let token = ours.seal(Purpose::Cursor, owner, state);
    assert_eq!(ours.open(Purpose::Cursor, owner, &token).as_deref(), Some(state));
    assert_eq!(ours.open(Purpose::Session, owner, &token), None);
    if other != owner {
        assert_eq!(ours.open(Purpose::Cursor, other, &token), None);
    }
    let mut bytes = URL_SAFE_NO_PAD.decode(&token).expect("our own token");
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
    assert_eq!(ours.open(Purpose::Cursor, owner, &URL_SAFE_NO_PAD.encode(bytes)), None);
    let mut changed = token.clone().into_bytes();
    let at = at % changed.len();
    changed[at] = by;
    // A character that is another spelling of the same bytes would make two tokens of one.
    if let Ok(changed) = String::from_utf8(changed) {
        assert_eq!(ours.open(Purpose::Cursor, owner, &changed).is_some(), changed == token);
    }
}

/// Any text is no token, and reading it ends well.
pub(super) fn any_text(ours: &Sealer, owner: &str, text: &str) {
    assert_eq!(ours.open(Purpose::Session, owner, text), None);
}
