use super::*;

const V_03: &str = "2025-03-26";
const V_06: &str = "2025-06-18";
const V_11: &str = "2025-11-25";
const V_07: &str = "2026-07-28";

const NONE: SessionHeader = SessionHeader::Absent;
const LOST: SessionHeader = SessionHeader::Unknown;
const OPEN: SessionHeader = SessionHeader::Open(Revision::V2025_11_25);
const OPEN_03: SessionHeader = SessionHeader::Open(Revision::V2025_03_26);

const INIT: Content<'_> = Content::Request("initialize");
const LIST: Content<'_> = Content::Request("tools/list");
const WATCH: Content<'_> = Content::Request("resources/subscribe");
const NOTE: Content<'_> = Content::Notification("notifications/initialized");
const REPLY: Content<'_> = Content::Response;
const BATCH: Content<'_> = Content::Batch { holds_single_only: false };
const BAD_BATCH: Content<'_> = Content::Batch { holds_single_only: true };

fn said(decision: &Decision) -> String {
    match decision {
        Decision::Initialize => "initialize".to_owned(),
        Decision::InSession(revision) => format!("in session {revision}"),
        Decision::Sessionless(revision) => format!("sessionless {revision}"),
        Decision::Modern(revision) => format!("modern {revision}"),
        Decision::Refused(refusal) => format!("{} {refusal}", refusal.code()),
    }
}

#[test]
fn every_post_has_its_place() {
    let mismatch = "-32020 the header `MCP-Protocol-Version` must be";
    let unsupported = "-32022 protocol version";
    let unknown_header = "-32600 the header `MCP-Protocol-Version` names an unknown version `2099-01-01`";
    let missing_meta = "-32602 `params._meta` needs";
    let session_required = "-32600 this needs a session";
    let cases = [
        // A version in the body decides, whatever else is there.
        (NONE, Some(V_07), Some(V_07), LIST, "modern 2026-07-28"),
        (OPEN, Some(V_07), Some(V_07), LIST, "modern 2026-07-28"),
        (LOST, Some(V_07), Some(V_07), LIST, "modern 2026-07-28"),
        (NONE, Some(V_07), Some(V_07), INIT, "modern 2026-07-28"),
        (NONE, Some(V_07), Some(V_07), NOTE, "modern 2026-07-28"),
        (NONE, None, Some(V_07), LIST, mismatch),
        (OPEN, Some(V_11), Some(V_07), LIST, mismatch),
        (NONE, Some(V_07), Some(V_11), LIST, mismatch),
        (NONE, Some(V_11), Some(V_11), LIST, unsupported),
        (OPEN, Some(V_11), Some(V_11), LIST, unsupported),
        (NONE, Some("2099-01-01"), Some("2099-01-01"), LIST, unsupported),
        // `initialize` begins a session, with whatever leftovers in its headers.
        (NONE, None, None, INIT, "initialize"),
        (OPEN, Some(V_11), None, INIT, "initialize"),
        (LOST, None, None, INIT, "initialize"),
        (NONE, Some(V_07), None, INIT, "initialize"),
        (NONE, Some("2099-01-01"), None, INIT, "initialize"),
        // A session.
        (OPEN, None, None, LIST, "in session 2025-11-25"),
        (OPEN, Some(V_11), None, LIST, "in session 2025-11-25"),
        (OPEN, Some(V_06), None, LIST, "in session 2025-11-25"),
        (OPEN, None, None, WATCH, "in session 2025-11-25"),
        (OPEN, None, None, REPLY, "in session 2025-11-25"),
        (OPEN, None, None, NOTE, "in session 2025-11-25"),
        (OPEN, Some(V_07), None, LIST, missing_meta),
        (OPEN, Some("2099-01-01"), None, LIST, unknown_header),
        (LOST, None, None, LIST, "-32600 unknown session"),
        (LOST, Some(V_11), None, NOTE, "-32600 unknown session"),
        (LOST, None, None, REPLY, "-32600 unknown session"),
        // None.
        (NONE, None, None, LIST, "sessionless 2025-03-26"),
        (NONE, Some(V_11), None, LIST, "sessionless 2025-11-25"),
        (NONE, Some("2024-11-05"), None, LIST, "sessionless 2024-11-05"),
        (NONE, None, None, NOTE, "sessionless 2025-03-26"),
        (NONE, None, None, WATCH, session_required),
        (NONE, None, None, REPLY, session_required),
        (NONE, Some(V_07), None, LIST, missing_meta),
        (NONE, Some("2099-01-01"), None, LIST, unknown_header),
        (NONE, Some(""), None, LIST, "-32600 the header `MCP-Protocol-Version` names an unknown version ``"),
        // Batches.
        (NONE, None, None, BATCH, "sessionless 2025-03-26"),
        (NONE, Some(V_03), None, BATCH, "sessionless 2025-03-26"),
        (NONE, Some(V_06), None, BATCH, "-32600 protocol version 2025-06-18 has no batches"),
        (OPEN_03, None, None, BATCH, "in session 2025-03-26"),
        (OPEN_03, Some(V_03), None, BATCH, "in session 2025-03-26"),
        (OPEN, None, None, BATCH, "-32600 protocol version 2025-11-25 has no batches"),
        (LOST, None, None, BATCH, "-32600 unknown session"),
        (NONE, None, None, BAD_BATCH, "-32600 a batch must not hold"),
        (OPEN_03, None, None, BAD_BATCH, "-32600 a batch must not hold"),
    ];
    for (session, version_header, meta_version, content, expected) in cases {
        let post = Post { session, version_header, meta_version, content };
        let got = said(&decide(&post));
        // A refusal's text goes on after what the table gives; everything else must be the whole.
        assert!(if expected.starts_with('-') { got.starts_with(expected) } else { got == expected }, "{post:?}: {got}");
    }
}

#[test]
fn a_client_gets_the_version_it_asks_for_or_our_newest_with_a_handshake() {
    let cases = [("2024-11-05", "2024-11-05"), (V_11, V_11), (V_07, V_11), ("1999-01-01", V_11), ("", V_11)];
    for (requested, expected) in cases {
        assert_eq!(negotiate(requested, &Revision::ALL).name(), expected, "{requested}");
    }
    let offered = [Revision::V2025_03_26, Revision::V2025_06_18, Revision::V2026_07_28];
    for (requested, expected) in [(V_03, V_03), (V_11, V_06), (V_07, V_06)] {
        assert_eq!(negotiate(requested, &offered).name(), expected, "{requested} of three");
    }
}
