//! What a client can do for a server, as far as the gateway must know it.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::translate::url_elicitation;
use crate::views::{ViewError, object};
use crate::{edit, method};

/// Which of the things that a server may ask a client for this client has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct ClientCapabilities {
    /// `roots/list`.
    pub roots: bool,
    /// `notifications/roots/list_changed`.
    pub roots_list_changed: bool,
    /// `sampling/createMessage`.
    pub sampling: bool,
    /// Tools in sampling; since 2025-11-25.
    pub sampling_tools: bool,
    /// `elicitation/create` with a form.
    pub elicitation_form: bool,
    /// `elicitation/create` with a URL; since 2025-11-25.
    pub elicitation_url: bool,
}

impl ClientCapabilities {
    /// Reads the `capabilities` of `initialize`; what is not there the client cannot do.
    ///
    /// # Errors
    /// [`ViewError`] when a capability that is read stands there twice, or is no object.
    pub fn read(capabilities: Option<&RawValue>) -> Result<Self, ViewError> {
        let Some(raw) = capabilities else { return Ok(Self::default()) };
        let wire: Wire<'_> = object(raw.get())?;
        let roots: Roots = inner(wire.roots)?.unwrap_or_default();
        let sampling: Sampling<'_> = inner(wire.sampling)?.unwrap_or_default();
        let elicitation: Elicitation<'_> = inner(wire.elicitation)?.unwrap_or_default();
        Ok(Self {
            roots: wire.roots.is_some(),
            roots_list_changed: roots.list_changed == Some(true),
            sampling: wire.sampling.is_some(),
            sampling_tools: sampling.tools.is_some(),
            // `{}` meant forms before there was anything else, and still does.
            elicitation_form: wire.elicitation.is_some() && (elicitation.form.is_some() || elicitation.url.is_none()),
            elicitation_url: elicitation.url.is_some(),
        })
    }

    /// Whether the client can answer this question of a server's, with these raw parameters. Nothing but what the
    /// protocol has servers ask.
    #[must_use]
    pub fn can_answer(self, method: &str, params: &str) -> bool {
        match method {
            method::ROOTS_LIST => self.roots,
            method::SAMPLING_CREATE_MESSAGE => {
                let is_plain = || edit::get_at(params, &["tools"]).is_ok_and(|tools| tools.is_none());
                self.sampling && (self.sampling_tools || is_plain())
            }
            method::ELICITATION_CREATE if url_elicitation::is_url(params) => self.elicitation_url,
            method::ELICITATION_CREATE => self.elicitation_form,
            _ => false,
        }
    }

    /// The JSON that declares just these, for a server.
    #[must_use]
    pub fn to_json(self) -> String {
        let mut parts = Vec::new();
        if self.roots {
            parts.push(if self.roots_list_changed { r#""roots":{"listChanged":true}"# } else { r#""roots":{}"# });
        }
        if self.sampling {
            parts.push(if self.sampling_tools { r#""sampling":{"tools":{}}"# } else { r#""sampling":{}"# });
        }
        match (self.elicitation_form, self.elicitation_url) {
            (true, true) => parts.push(r#""elicitation":{"form":{},"url":{}}"#),
            (true, false) => parts.push(r#""elicitation":{}"#),
            (false, true) => parts.push(r#""elicitation":{"url":{}}"#),
            (false, false) => {}
        }
        format!("{{{}}}", parts.join(","))
    }

    /// The flags in one byte, for a session id.
    #[must_use]
    pub fn to_bits(self) -> u8 {
        self.flags().iter().enumerate().fold(0, |bits, (at, flag)| bits | u8::from(*flag) << at)
    }

    /// The flags out of [`Self::to_bits`]; bits that mean nothing are ignored.
    #[must_use]
    pub fn from_bits(bits: u8) -> Self {
        let flag = |at: u32| bits & (1 << at) != 0;
        Self {
            roots: flag(0),
            roots_list_changed: flag(1),
            sampling: flag(2),
            sampling_tools: flag(3),
            elicitation_form: flag(4),
            elicitation_url: flag(5),
        }
    }

    fn flags(self) -> [bool; 6] {
        [
            self.roots,
            self.roots_list_changed,
            self.sampling,
            self.sampling_tools,
            self.elicitation_form,
            self.elicitation_url,
        ]
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    roots: Option<&'a RawValue>,
    #[serde(borrow)]
    sampling: Option<&'a RawValue>,
    #[serde(borrow)]
    elicitation: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct Roots {
    list_changed: Option<bool>,
}

#[derive(Deserialize, Default)]
struct Sampling<'a> {
    #[serde(borrow)]
    tools: Option<&'a RawValue>,
}

#[derive(Deserialize, Default)]
struct Elicitation<'a> {
    #[serde(borrow)]
    form: Option<&'a RawValue>,
    #[serde(borrow)]
    url: Option<&'a RawValue>,
}

fn inner<'a, T: Deserialize<'a>>(raw: Option<&'a RawValue>) -> Result<Option<T>, ViewError> {
    raw.map(|raw| object(raw.get())).transpose()
}

#[cfg(test)]
mod tests {
    use super::ClientCapabilities;

    #[test]
    fn what_is_read_can_be_declared_again() {
        let cases = [
            ("{}", "{}"),
            (r#"{"roots":null,"experimental":{"x":{}}}"#, "{}"),
            (r#"{"roots":{}}"#, r#"{"roots":{}}"#),
            (r#"{"roots":{"listChanged":false}}"#, r#"{"roots":{}}"#),
            (r#"{"roots":{"listChanged":true},"sampling":{}}"#, r#"{"roots":{"listChanged":true},"sampling":{}}"#),
            (r#"{"sampling":{"tools":{},"context":{}}}"#, r#"{"sampling":{"tools":{}}}"#),
            (r#"{"elicitation":{}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"form":{}}}"#, r#"{"elicitation":{}}"#),
            (r#"{"elicitation":{"url":{}}}"#, r#"{"elicitation":{"url":{}}}"#),
            (r#"{"elicitation":{"url":{},"form":{}}}"#, r#"{"elicitation":{"form":{},"url":{}}}"#),
        ];
        for (json, expected) in cases {
            let raw = serde_json::from_str(json).expect("valid JSON");
            let capabilities = ClientCapabilities::read(Some(raw)).expect(json);
            assert_eq!(capabilities.to_json(), expected, "{json}");
        }
        assert_eq!(ClientCapabilities::read(None), Ok(ClientCapabilities::default()));
    }

    #[test]
    fn a_question_is_answered_by_whoever_declared_that() {
        let (form, url) = (("elicitation/create", "{}"), ("elicitation/create", r#"{"mode":"url","url":"https://a"}"#));
        let (plain, tools) = (("sampling/createMessage", "{}"), ("sampling/createMessage", r#"{"tools":[]}"#));
        let questions = [("roots/list", "{}"), plain, tools, form, url, ("ping", "{}")];
        let cases = [
            ("{}", [false; 6]),
            (r#"{"roots":{}}"#, [true, false, false, false, false, false]),
            (r#"{"sampling":{}}"#, [false, true, false, false, false, false]),
            (r#"{"sampling":{"tools":{}}}"#, [false, true, true, false, false, false]),
            (r#"{"elicitation":{}}"#, [false, false, false, true, false, false]),
            (r#"{"elicitation":{"url":{}}}"#, [false, false, false, false, true, false]),
        ];
        for (json, expected) in cases {
            let can = ClientCapabilities::read(Some(serde_json::from_str(json).expect("JSON"))).expect(json);
            assert_eq!(questions.map(|(method, params)| can.can_answer(method, params)), expected, "{json}");
        }
    }

    #[test]
    fn capabilities_of_another_shape_are_refused() {
        for json in ["[]", r#"{"roots":true}"#, r#"{"roots":{},"roots":{}}"#, r#"{"roots":{"listChanged":1}}"#] {
            let raw = serde_json::from_str(json).expect("valid JSON");
            assert!(ClientCapabilities::read(Some(raw)).is_err(), "{json}");
        }
    }

    #[test]
    fn every_set_of_flags_survives_as_a_byte() {
        for bits in 0..64 {
            assert_eq!(ClientCapabilities::from_bits(bits).to_bits(), bits);
        }
        assert_eq!(ClientCapabilities::from_bits(0xff).to_bits(), 63);
    }
}
