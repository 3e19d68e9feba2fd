//! Answers that were too large to be shown whole, to be read for a while as resources.
//!
//! The id is random, and only the credential that an answer was given to reads it.

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use toolgate_mcp::jsonrpc::quote;

use crate::upstream::lane::Lane;

/// What all kept answers of one server may take.
const MAX_BYTES: u64 = 64 * 1024 * 1024;
const FOR: Duration = Duration::from_secs(600);

pub(super) struct Kept {
    by_uri: moka::sync::Cache<String, Answer>,
}

#[derive(Clone)]
struct Answer {
    body: Bytes,
    media_type: String,
    credential: [u8; 32],
}

impl Default for Kept {
    fn default() -> Self {
        let weigh = |_: &String, answer: &Answer| u32::try_from(answer.body.len()).unwrap_or(u32::MAX);
        let by_uri = moka::sync::Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_live(FOR).build();
        Self { by_uri }
    }
}

impl Kept {
    /// Keeps an answer; gives the URI by which it is read.
    pub(super) fn keep(&self, prefix: &str, body: Bytes, media_type: &str, lane: &Lane) -> String {
        let mut id = [0; 16];
        aws_lc_rs::rand::fill(&mut id).expect("the system's random source works");
        let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
        let uri = format!("{prefix}{id}");
        let answer = Answer { body, media_type: media_type.to_owned(), credential: lane.outfit.fingerprint };
        self.by_uri.insert(uri.clone(), answer);
        uri
    }

    /// The result of `resources/read`.
    pub(super) fn read(&self, uri: &str, lane: &Lane) -> Option<String> {
        let answer = self.by_uri.get(uri).filter(|answer| answer.credential == lane.outfit.fingerprint)?;
        let mut media = answer.media_type.split(';');
        let media = media.next().map(str::trim).filter(|media| !media.is_empty()).unwrap_or("application/octet-stream");
        let content = match std::str::from_utf8(&answer.body) {
            Ok(text) => format!("\"text\":{}", quote(text)),
            Err(_) => format!("\"blob\":\"{}\"", STANDARD.encode(&answer.body)),
        };
        Some(format!("{{\"contents\":[{{\"uri\":{},\"mimeType\":{},{content}}}]}}", quote(uri), quote(media)))
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("answers", &self.by_uri.entry_count()).finish()
    }
}
