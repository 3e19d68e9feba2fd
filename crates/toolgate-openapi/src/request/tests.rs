//! Requests of small descriptions, one rule each.

use url::Url;

use super::{CallError, Request};
use crate::limits::Limits;
use crate::{Api, Documents, Options, read};

fn api(text: &str) -> Api {
    let documents = Documents::new("api.yaml", text.as_bytes(), Limits::default()).unwrap();
    read(&documents, &Options { url: Some(base()), ..Options::default() }).unwrap()
}

fn base() -> Url {
    Url::parse("https://api.test/v1").unwrap()
}

/// The request of the only operation of a description.
fn request(text: &str, arguments: &str) -> Result<Request, CallError> {
    let api = api(text);
    assert_eq!(api.left_out, []);
    api.operations[0].request(&base(), arguments)
}

/// `GET` with one parameter.
fn parameter(place: &str, rules: &str, arguments: &str) -> Result<Request, CallError> {
    let path = if place == "path" { "/p/{c}/end" } else { "/p" };
    let text = format!(
        "openapi: 3.1.0\npaths:\n  {path}:\n    get:\n      parameters:\n        - {{name: c, in: {place}, required: true, {rules}}}\n"
    );
    request(&text, arguments)
}

/// The table of styles in the specification, and what it leaves open.
#[test]
fn every_style_is_written_as_the_specification_has_it() {
    let array = r#"{"c":["blue","black","brown"]}"#;
    let object = r#"{"c":{"R":100,"G":200}}"#;
    let cases = [
        ("path", "style: simple", r#"{"c":"blue"}"#, "/v1/p/blue/end"),
        ("path", "style: simple", array, "/v1/p/blue,black,brown/end"),
        ("path", "style: simple", object, "/v1/p/R,100,G,200/end"),
        ("path", "style: simple, explode: true", object, "/v1/p/R=100,G=200/end"),
        ("path", "style: label", r#"{"c":"blue"}"#, "/v1/p/.blue/end"),
        ("path", "style: label", r#"{"c":""}"#, "/v1/p/./end"),
        ("path", "style: label", array, "/v1/p/.blue,black,brown/end"),
        ("path", "style: label, explode: true", array, "/v1/p/.blue.black.brown/end"),
        ("path", "style: label", object, "/v1/p/.R,100,G,200/end"),
        ("path", "style: label, explode: true", object, "/v1/p/.R=100.G=200/end"),
        ("path", "style: matrix", r#"{"c":"blue"}"#, "/v1/p/;c=blue/end"),
        ("path", "style: matrix", r#"{"c":""}"#, "/v1/p/;c/end"),
        ("path", "style: matrix", array, "/v1/p/;c=blue,black,brown/end"),
        ("path", "style: matrix, explode: true", array, "/v1/p/;c=blue;c=black;c=brown/end"),
        ("path", "style: matrix", object, "/v1/p/;c=R,100,G,200/end"),
        ("path", "style: matrix, explode: true", object, "/v1/p/;R=100;G=200/end"),
        ("query", "style: form", r#"{"c":"blue"}"#, "/v1/p?c=blue"),
        ("query", "style: form", r#"{"c":""}"#, "/v1/p?c="),
        ("query", "style: form", r#"{"c":0}"#, "/v1/p?c=0"),
        ("query", "style: form", r#"{"c":false}"#, "/v1/p?c=false"),
        ("query", "style: form", array, "/v1/p?c=blue&c=black&c=brown"),
        ("query", "style: form, explode: false", array, "/v1/p?c=blue,black,brown"),
        ("query", "style: form", object, "/v1/p?R=100&G=200"),
        ("query", "style: form, explode: false", object, "/v1/p?c=R,100,G,200"),
        ("query", "style: spaceDelimited", array, "/v1/p?c=blue%20black%20brown"),
        ("query", "style: spaceDelimited", object, "/v1/p?c=R%20100%20G%20200"),
        ("query", "style: pipeDelimited", array, "/v1/p?c=blue%7Cblack%7Cbrown"),
        ("query", "style: pipeDelimited", object, "/v1/p?c=R%7C100%7CG%7C200"),
        ("query", "style: pipeDelimited, explode: true", array, "/v1/p?c=blue&c=black&c=brown"),
        ("query", "style: deepObject", object, "/v1/p?c%5BR%5D=100&c%5BG%5D=200"),
        (
            "query",
            "style: deepObject",
            r#"{"c":{"a":{"b":[1,2]}}}"#,
            "/v1/p?c%5Ba%5D%5Bb%5D%5B0%5D=1&c%5Ba%5D%5Bb%5D%5B1%5D=2",
        ),
        // Separators within values are no separators.
        ("query", "style: form, explode: false", r#"{"c":["a,b","c"]}"#, "/v1/p?c=a%2Cb,c"),
        ("query", "style: form", r#"{"c":"a&b=c #+ü"}"#, "/v1/p?c=a%26b%3Dc%20%23%2B%C3%BC"),
        ("query", "allowReserved: true", r#"{"c":"a/b?c:d&e=f"}"#, "/v1/p?c=a/b?c:d%26e%3Df"),
        ("query", "content: {application/json: {}}", r#"{"c":{"a":[1]}}"#, "/v1/p?c=%7B%22a%22%3A%5B1%5D%7D"),
        // What has no form of its own is not lost.
        ("query", "style: form", r#"{"c":[{"a":1},[2]]}"#, "/v1/p?c=%7B%22a%22%3A1%7D&c=%5B2%5D"),
        ("query", "style: form", r#"{"c":12345678901234567890123}"#, "/v1/p?c=12345678901234567890123"),
    ];
    for (place, rules, arguments, expected) in cases {
        if expected.contains("/./") {
            // Such a path would be read as another one.
            assert!(parameter(place, rules, arguments).is_err(), "{place} {rules}");
            continue;
        }
        let request = parameter(place, rules, arguments).unwrap();
        let url = request.url.as_str().strip_prefix("https://api.test").unwrap();
        assert_eq!(url, expected, "{place} {rules} {arguments}");
    }
}

#[test]
fn headers_and_cookies_are_sent() {
    let header = |rules: &str, arguments: &str| {
        let request = parameter("header", rules, arguments).unwrap();
        request.headers.into_iter().find(|(name, _)| name == "c").map(|(_, value)| value).unwrap()
    };
    assert_eq!(header("style: simple", r#"{"c":["blue","black"]}"#), "blue,black");
    assert_eq!(header("style: simple", r#"{"c":{"R":100,"G":200}}"#), "R,100,G,200");
    assert_eq!(header("explode: true", r#"{"c":{"R":100,"G":200}}"#), "R=100,G=200");
    assert_eq!(header("content: {application/json: {}}", r#"{"c":{"R":[1]}}"#), r#"{"R":[1]}"#);
    assert_eq!(header("style: simple", r#"{"c":"ü é"}"#), "ü é");

    let cookies = |rules: &str, arguments: &str| parameter("cookie", rules, arguments).unwrap().cookies;
    assert_eq!(cookies("style: form", r#"{"c":"a b;c"}"#), ["c=a%20b%3Bc"]);
    assert_eq!(cookies("style: form", r#"{"c":["x","y"]}"#), ["c=x", "c=y"]);
    assert_eq!(cookies("explode: false", r#"{"c":["x","y"]}"#), ["c=x,y"]);
    assert_eq!(cookies("style: form", r#"{"c":{"R":1}}"#), ["R=1"]);
}

#[test]
fn a_value_never_leaves_its_place_in_the_path() {
    for value in
        ["..", ".", "../admin", "a/../b", "%2e%2e", "%2e%2e%2fadmin", "..\\\\admin", "..;/admin", "%252e%252e", ""]
    {
        let refused = parameter("path", "style: simple", &format!(r#"{{"c":"{value}"}}"#)).unwrap_err();
        assert!(refused.to_string().contains("`c`"), "{value}: {refused}");
    }
    let kept = [
        ("123?admin=true", "123%3Fadmin%3Dtrue"),
        ("user#section", "user%23section"),
        ("src/main.rs", "src%2Fmain.rs"),
        ("x&evil=1", "x%26evil%3D1"),
        ("a\\r\\nb", "a%0D%0Ab"),
        ("100%", "100%25"),
        ("...", "..."),
    ];
    for (value, expected) in kept {
        let request = parameter("path", "style: simple", &format!(r#"{{"c":"{value}"}}"#)).unwrap();
        assert_eq!(request.url.as_str(), format!("https://api.test/v1/p/{expected}/end"), "{value}");
    }
}

#[test]
fn control_characters_are_in_no_header() {
    let refused = parameter("header", "style: simple", r#"{"c":"a\r\nX-Evil: 1"}"#).unwrap_err();
    assert!(refused.to_string().contains("`c` holds a control character"), "{refused}");
    let refused = parameter("header", "explode: true", r#"{"c":{"a\n":"b"}}"#).unwrap_err();
    assert!(refused.to_string().contains("control character"), "{refused}");
}

#[test]
fn swagger_2_writes_lists_its_own_way() {
    let case = |format: &str, expected: &str| {
        let text = format!(
            "swagger: '2.0'\npaths:\n  /p:\n    get:\n      parameters:\n        - {{name: c, in: query, type: array, items: {{type: string}}, collectionFormat: {format}}}\n"
        );
        let request = request(&text, r#"{"c":["a b","c"]}"#).unwrap();
        assert_eq!(request.url.query(), Some(expected), "{format}");
    };
    case("csv", "c=a%20b,c");
    case("ssv", "c=a%20b%20c");
    case("tsv", "c=a%20b%09c");
    case("pipes", "c=a%20b%7Cc");
    case("multi", "c=a%20b&c=c");
}

/// `POST` with a body of one media type.
fn body(content: &str, arguments: &str) -> Result<Request, CallError> {
    let text = format!(
        "openapi: 3.1.0\npaths:\n  /p:\n    post:\n      requestBody:\n        required: true\n        content:\n          {content}\n"
    );
    request(&text, arguments)
}

fn sent(request: &Request) -> (String, String) {
    let kind = request.headers.iter().find(|(name, _)| name == "content-type").map(|(_, value)| value.clone());
    (kind.unwrap_or_default(), String::from_utf8_lossy(request.body.as_deref().unwrap_or_default()).into_owned())
}

#[test]
fn bodies_are_what_their_media_type_says() {
    let form = "application/x-www-form-urlencoded";
    let cases = [
        (
            "application/json: {}",
            r#"{"body":{"a":0,"b":[null,""],"n":1e400}}"#,
            "application/json",
            r#"{"a":0,"b":[null,""],"n":1e400}"#,
        ),
        ("application/json: {}", r#"{"body":null}"#, "application/json", "null"),
        ("application/json: {}", r#"{"body":"text"}"#, "application/json", r#""text""#),
        ("application/merge-patch+json: {}", r#"{"body":{}}"#, "application/merge-patch+json", "{}"),
        ("'*/*': {schema: {type: object}}", r#"{"body":{}}"#, "application/json", "{}"),
        ("text/plain: {}", r#"{"body":"hi\nthere"}"#, "text/plain", "hi\nthere"),
        ("application/xml: {schema: {type: object}}", r#"{"body":"<a/>"}"#, "application/xml", "<a/>"),
        ("application/octet-stream: {}", r#"{"body":"aGk="}"#, "application/octet-stream", "hi"),
        ("image/png: {}", r#"{"body":"data:image/png;base64,aGk="}"#, "image/png", "hi"),
        ("image/*: {}", r#"{"body":"data:image/gif;base64,aGk="}"#, "image/gif", "hi"),
        (
            "application/x-www-form-urlencoded: {}",
            r#"{"body":{"a":"x y","b":[1,2],"c":{"d":1},"e":0,"f":""}}"#,
            form,
            "a=x%20y&b=1&b=2&c=%7B%22d%22%3A1%7D&e=0&f=",
        ),
        (
            "application/x-www-form-urlencoded: {schema: {properties: {e: {}}}, encoding: {e: {style: deepObject, explode: true}}}",
            r#"{"body":{"e":{"a":["x"],"b":1}}}"#,
            form,
            "e%5Ba%5D%5B0%5D=x&e%5Bb%5D=1",
        ),
    ];
    for (content, arguments, kind, bytes) in cases {
        let request = body(content, arguments).unwrap_or_else(|error| panic!("{content}: {error}"));
        assert_eq!(sent(&request), (kind.to_owned(), bytes.to_owned()), "{content} {arguments}");
    }
    let refused = body("application/octet-stream: {}", r#"{"body":"not base64!"}"#).unwrap_err();
    assert!(refused.to_string().contains("`body` must be the file's content in base64"), "{refused}");
}

#[test]
fn a_multipart_form_has_its_files() {
    let content = "multipart/form-data: {schema: {type: object, properties: {file: {type: string, format: binary}, files: {type: array, items: {type: string, format: binary}}, meta: {type: object}, tags: {type: array, items: {type: string}}}}, encoding: {meta: {contentType: application/vnd.x+json}}}";
    let arguments = r#"{"body":{"file":"data:text/plain;name=a%22b.txt;base64,aGk=","files":["aGk=","aG8="],"meta":{"a":1},"tags":["x","y"],"n":0}}"#;
    let request = body(content, arguments).unwrap();
    let (kind, bytes) = sent(&request);
    let boundary = kind.strip_prefix("multipart/form-data; boundary=").unwrap();
    let parts: Vec<&str> = bytes.split(&format!("--{boundary}")).map(|part| part.trim_matches(['\r', '\n'])).collect();
    let expected = [
        "",
        "Content-Disposition: form-data; name=\"file\"; filename=\"a%22b.txt\"\r\nContent-Type: text/plain\r\n\r\nhi",
        "Content-Disposition: form-data; name=\"files\"; filename=\"files\"\r\nContent-Type: application/octet-stream\r\n\r\nhi",
        "Content-Disposition: form-data; name=\"files\"; filename=\"files\"\r\nContent-Type: application/octet-stream\r\n\r\nho",
        "Content-Disposition: form-data; name=\"meta\"\r\nContent-Type: application/vnd.x+json\r\n\r\n{\"a\":1}",
        "Content-Disposition: form-data; name=\"tags\"\r\n\r\nx",
        "Content-Disposition: form-data; name=\"tags\"\r\n\r\ny",
        "Content-Disposition: form-data; name=\"n\"\r\n\r\n0",
        "--",
    ];
    assert_eq!(parts, expected);
    let line_ends = body("multipart/form-data: {}", r#"{"body":{"a\r\nX: y\"":"v"}}"#).unwrap();
    assert!(sent(&line_ends).1.contains("name=\"a%0D%0AX: y%22\""));
}

#[test]
fn swagger_2_fields_of_a_form_are_arguments() {
    let text = "swagger: '2.0'\npaths:\n  /p/{id}:\n    post:\n      consumes: [multipart/form-data]\n      parameters:\n        - {name: id, in: path, type: string, required: true}\n        - {name: id, in: formData, type: string}\n        - {name: file, in: formData, type: file}\n";
    let request = request(text, r#"{"id":"1","id_form":"2","file":"aGk="}"#).unwrap();
    let (kind, bytes) = sent(&request);
    assert!(kind.starts_with("multipart/form-data"), "{kind}");
    assert!(bytes.contains("name=\"id\"\r\n\r\n2"), "{bytes}");
    assert!(
        bytes.contains("name=\"file\"; filename=\"file\"\r\nContent-Type: application/octet-stream\r\n\r\nhi"),
        "{bytes}"
    );
    assert_eq!(request.url.path(), "/v1/p/1");
}

#[test]
fn arguments_that_do_not_fit_say_how_to_mend_them() {
    let text = "openapi: 3.0.0\npaths:\n  /p/{id}:\n    get:\n      parameters:\n        - {name: id, in: path, required: true, schema: {type: integer}}\n";
    insta::assert_snapshot!(request(text, r#"{"ID":"x"}"#).unwrap_err().to_string(), @r"
    The arguments are not right:
    - `id` is missing; it must be an integer
    - `ID` is not known; there are id
    Call the tool again with these put right.
    ");
    for (arguments, expected) in [
        ("[]", "must be an object, and are of the type array"),
        ("{", "not valid JSON"),
        (r#"{"id":1,"id":2}"#, "is there twice"),
    ] {
        let why = request(text, arguments).unwrap_err().to_string();
        assert!(why.contains(expected), "{why}");
    }
    let deep = format!("{{\"id\":{}1{}}}", "[".repeat(300), "]".repeat(300));
    assert!(request(text, &deep).unwrap_err().to_string().contains("deeper than"));
}

#[test]
fn the_base_keeps_its_query_and_its_path() {
    let text = "openapi: 3.0.0\npaths:\n  /p?fixed=1:\n    get:\n      parameters: [{name: q, in: query}]\n";
    let api = api(text);
    let base = Url::parse("https://api.test/deep/base/?version=2").unwrap();
    let request = api.operations[0].request(&base, r#"{"q":"x"}"#).unwrap();
    assert_eq!(request.url.as_str(), "https://api.test/deep/base/p?version=2&fixed=1&q=x");
}
