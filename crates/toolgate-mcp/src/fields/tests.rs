use super::{pick, quick, slow};

const NAMES: [&str; 2] = ["a", "e"];

fn texts(values: [Option<&serde_json::value::RawValue>; 2]) -> [Option<&str>; 2] {
    values.map(|value| value.map(|raw| raw.get()))
}

/// The scan may leave a text to `serde_json` only when it has an escape; otherwise the two agree.
fn agree(json: &str) {
    let scanned = quick(json, NAMES).map(texts);
    let parsed = slow(json, NAMES).ok().map(texts);
    if scanned.is_some() || !json.contains('\\') {
        assert_eq!(scanned, parsed, "{json}");
    }
}

#[test]
fn every_short_text_is_read_as_serde_json_reads_it() {
    const ALPHABET: [&str; 17] =
        ["{", "}", "[", "]", ":", ",", "\"", "a", "e", "\\", "\\u00e", "0", "1", "-", ".", " ", "\u{1}"];
    let mut texts = vec![String::new()];
    for _ in 0..4 {
        texts = texts.iter().flat_map(|text| ALPHABET.map(|next| format!("{text}{next}"))).collect();
        for text in &texts {
            agree(text);
            agree(&format!(r#"{{"a":{text}}}"#));
        }
    }
}

#[test]
fn values_of_every_kind_are_read_as_serde_json_reads_them() {
    let values = [
        "null",
        "nul",
        "nulll",
        "true",
        "tru",
        "false",
        "falsey",
        "True",
        "-",
        "-0",
        "00",
        "01",
        "1.",
        "1.0",
        ".5",
        "1e",
        "1e5",
        "1E+5",
        "1e-",
        "1e5.0",
        "+1",
        "0x1",
        "1e400",
        "12345678901234567890123",
        "NaN",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\ud800\"",
        "\"\\u00E4\"",
        "\"a\tb\"",
        "\"a\u{7f}ü\u{10ffff}b\"",
        "\"12345678\"",
        "\"1234567\"",
        "\"123456789\u{1f}\"",
        "\"1234567ü\\n\"",
        "[]",
        "[ ]",
        "[,]",
        "[1,]",
        "[1 2]",
        "[1,2",
        "{}",
        "{ }",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":1 \"b\":2}",
        "{a:1}",
        "{1:1}",
        "{\"a\":{\"a\":[{}]}}",
        "'a'",
        "\u{c}1",
        "\u{feff}1",
        "1//",
        "1/**/",
        "",
    ];
    for value in values {
        for text in [
            format!(r#"{{"a":{value}}}"#),
            format!(" {{ \"x\" : {value} , \"e\" : {value}\r\n}}\t "),
            format!(r#"{{"a":[{value},{{"a":{value}}}]}}"#),
            format!(r#"{{"a":1}}{value}"#),
            format!(r#"{value}{{"a":1}}"#),
            value.to_owned(),
        ] {
            agree(&text);
        }
    }
}

#[test]
fn a_field_stands_there_once_however_it_is_spelled() {
    for twice in [r#"{"a":1,"a":2}"#, r#"{"a":1,"\u0061":2}"#, r#"{"\u0061":null,"a":2}"#] {
        assert!(pick(twice, NAMES).is_err_and(|error| error.to_string().contains("duplicate field `a`")), "{twice}");
    }
    assert_eq!(pick(r#"{"x":1,"x":2,"\u0061":3}"#, NAMES).map(texts).expect("fine"), [Some("3"), None]);
    assert_eq!(pick(r#"{"e":null}"#, NAMES).map(texts).expect("fine"), [None, Some("null")]);
}

#[test]
fn well_formed_messages_are_left_to_the_scan() {
    let deep = format!(r#"{{"a":{}1{}}}"#, "[".repeat(126), "]".repeat(126));
    for json in [r#"{"a":{"\u0061":"\n\ud83d\ude00"},"e":-1.5e+7}"#, "\r\n { } \t", &deep] {
        assert!(quick(json, NAMES).is_some(), "{json}");
    }
    let deeper = deep.replace('1', "[1]");
    assert!(quick(&deeper, NAMES).is_none() && pick(&deeper, NAMES).is_ok());
}
