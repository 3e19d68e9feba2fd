//! The content of a file in an argument.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};

use crate::documents::{percent_decoded, percent_decoded_bytes};

/// A file as it is sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct File {
    pub(super) bytes: Vec<u8>,
    /// What the `data:` URI says that it is.
    pub(super) media_type: Option<String>,
    /// `name=` or `filename=` of the `data:` URI.
    pub(super) name: Option<String>,
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads base64, or a `data:` URI (RFC 2397).
///
/// # Errors
/// A text that says what to send instead.
pub(super) fn read(argument: &str, text: &str) -> Result<File, String> {
    let Some(rest) = strip_data(text) else {
        let bytes = decoded(text).ok_or_else(|| {
            format!("`{argument}` must be the file's content in base64, or a data: URI; for plain text send data:text/plain,..")
        })?;
        return Ok(File { bytes, media_type: None, name: None });
    };
    let (head, data) = rest.split_once(',').ok_or_else(|| format!("`{argument}` is a data: URI without a comma"))?;
    let mut parts = head.split(';');
    let media_type = parts.next().map(str::trim).filter(|media| crate::read::is_sendable(media)).map(str::to_owned);
    let (mut is_base64, mut name, mut charset) = (false, None, None);
    for part in parts.map(str::trim) {
        match part.split_once('=') {
            None if part.eq_ignore_ascii_case("base64") => is_base64 = true,
            Some((key, value)) if key.eq_ignore_ascii_case("name") || key.eq_ignore_ascii_case("filename") => {
                name = Some(percent_decoded(value).trim_matches('"').to_owned());
            }
            Some((key, value)) if key.eq_ignore_ascii_case("charset") => charset = Some(value),
            _ => {}
        }
    }
    let media_type = match (media_type, charset) {
        (Some(media), Some(charset)) if crate::read::is_sendable(&format!("{media};{charset}")) => {
            Some(format!("{media};charset={charset}"))
        }
        (media, _) => media,
    };
    let bytes = if is_base64 {
        decoded(&percent_decoded(data))
            .ok_or_else(|| format!("`{argument}` is a data: URI whose base64 cannot be read"))?
    } else {
        percent_decoded_bytes(data)
    };
    Ok(File { bytes, media_type, name })
}

fn strip_data(text: &str) -> Option<&str> {
    let (head, rest) = text.split_at_checked(5)?;
    head.eq_ignore_ascii_case("data:").then_some(rest)
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let clean: String = text.chars().filter(|c| !c.is_ascii_whitespace()).collect();
    STANDARD.decode(&clean).or_else(|_| URL_SAFE.decode(&clean)).ok()
}

#[cfg(test)]
mod tests {
    use super::{File, read};

    #[test]
    fn base64_and_data_uris_are_files() {
        let file = |bytes: &[u8], media: Option<&str>, name: Option<&str>| File {
            bytes: bytes.to_vec(),
            media_type: media.map(str::to_owned),
            name: name.map(str::to_owned),
        };
        let cases = [
            ("aGk=", file(b"hi", None, None)),
            ("aGk", file(b"hi", None, None)),
            ("a\nGk=", file(b"hi", None, None)),
            ("-_8", file(&[0xfb, 0xff], None, None)),
            ("", file(b"", None, None)),
            ("data:text/plain;base64,aGk=", file(b"hi", Some("text/plain"), None)),
            ("data:image/png;name=a%20b.png;base64,aGk=", file(b"hi", Some("image/png"), Some("a b.png"))),
            ("data:,h%ffi%20there", file(b"h\xffi there", None, None)),
            ("DATA:text/plain;charset=utf-8,hi", file(b"hi", Some("text/plain;charset=utf-8"), None)),
        ];
        for (text, expected) in cases {
            assert_eq!(read("f", text), Ok(expected), "{text}");
        }
        for text in ["hello, world", "data:text/plain;base64", "data:;base64,=!"] {
            assert!(read("f", text).unwrap_err().contains("`f`"), "{text}");
        }
    }

    #[test]
    fn what_a_data_uri_says_cannot_break_a_header() {
        let read = read("f", "data:text/plain\r\nx: y;base64,aGk=").unwrap();
        assert_eq!(read.media_type, None);
    }
}
