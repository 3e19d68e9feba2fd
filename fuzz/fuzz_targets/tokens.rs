#![no_main]
//! A sealed token (a session id, a cursor, a place in a stream, a call's state) opens for whom it was made, unchanged, and
//! nothing else does.

#[path = "../../crates/toolgate/src/seal/bodies.rs"]
mod bodies;
#[expect(dead_code, reason = "the gateway has more purposes")]
#[path = "../../crates/toolgate/src/seal.rs"]
mod seal;

use std::sync::LazyLock;

use seal::{Purpose, Sealer};
use secrecy::SecretString;

/// Deriving its key takes longer than all else here.
static OURS: LazyLock<Sealer> = LazyLock::new(|| Sealer::new(&SecretString::from("a secret")));

#[derive(Debug, arbitrary::Arbitrary)]
struct Input {
    state: Vec<u8>,
    owner: String,
    other: String,
    places: (usize, usize),
    by: u8,
    text: String,
}

libfuzzer_sys::fuzz_target!(|input: Input| {
    bodies::sealed_and_changed(&OURS, &input.state, &input.owner, &input.other, input.places, input.by);
    bodies::any_text(&OURS, &input.owner, &input.text);
});
