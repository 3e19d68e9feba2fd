//! What options choose and change.

use std::collections::BTreeMap;

use toolgate_openapi::{Api, Options, Overlay, Select};
use url::Url;

use crate::support::{api_of, options};

const PETS: &str = r#"
openapi: 3.0.3
paths:
  /pets:
    get: {operationId: listPets, tags: [pets], summary: All pets}
    post: {operationId: addPet, tags: [pets, admin]}
  /pets/{id}: {get: {operationId: getPet, tags: [pets]}}
  /users/{id}/keys: {delete: {operationId: Delete Keys, tags: [admin]}}
"#;

fn names(options: &Options) -> Vec<String> {
    api_of(PETS, options).unwrap().operations.into_iter().map(|one| one.name).collect()
}

#[test]
fn tags_methods_and_paths_choose_operations() {
    let select = |select: Select| names(&Options { select, ..options() });
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    assert_eq!(select(Select { tags: words(&["admin"]), ..Select::default() }), ["addpet", "delete_keys"]);
    assert_eq!(select(Select { methods: words(&["get"]), ..Select::default() }), ["listpets", "getpet"]);
    assert_eq!(select(Select { paths: words(&["/pets"]), ..Select::default() }), ["listpets", "addpet"]);
    assert_eq!(select(Select { paths: words(&["/users/**"]), ..Select::default() }), ["delete_keys"]);
    let none = Options { select: Select { methods: words(&["PATCH"]), ..Select::default() }, ..options() };
    let api = api_of(PETS, &none).unwrap();
    assert_eq!((api.operations.len(), api.left_out.len()), (0, 4));
    assert_eq!(api.left_out[0].reason, "`GET` is not in `allowed_methods`");
}

#[test]
fn an_overlay_renames_describes_hides_and_groups() {
    let overlay = BTreeMap::from([
        (
            "listPets".to_owned(),
            Overlay { name: Some("pets".to_owned()), description: Some("Ours.".to_owned()), ..Overlay::default() },
        ),
        (
            "GET /pets/{id}".to_owned(),
            Overlay { group: Some("read".to_owned()), title: Some("One pet".to_owned()), ..Overlay::default() },
        ),
        ("addpet".to_owned(), Overlay { hide: true, ..Overlay::default() }),
    ]);
    let api = api_of(PETS, &Options { overlay, ..options() }).unwrap();
    let all: Vec<&str> = api.operations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(all, ["pets", "getpet", "delete_keys"]);
    assert!(api.operations[0].tool().contains(r#""description":"Ours.""#));
    assert!(api.operations[1].tool().contains(r#""title":"One pet""#));
    assert_eq!(api.operations[1].tags, ["pets", "read"]);
    assert_eq!(api.left_out[0].reason, "it is hidden by the overlay");
    // A renamed tool is still found under LiteLLM's name for it.
    assert_eq!(api.find("listPets").unwrap().name, "pets");
}

#[test]
fn every_spelling_of_a_name_finds_the_operation() {
    let api = api_of(PETS, &options()).unwrap();
    for name in ["Delete Keys", "delete_keys", "DELETE_KEYS", "delete keys"] {
        assert_eq!(api.find(name).map(|one| one.name.as_str()), Some("delete_keys"), "{name}");
    }
    assert!(api.find("nothing").is_none());
    let unnamed = api_of("openapi: 3.0.0\npaths: {'/pets/{petId}': {get: {}}}", &options()).unwrap();
    assert_eq!(unnamed.find("get__pets_{petid}").map(|one| one.name.as_str()), Some("get__pets_petid"));
}

fn only_tool(text: &str) -> serde_json::Value {
    let api = api_of(text, &options()).unwrap();
    assert_eq!((api.operations.len(), &api.left_out), (1, &Vec::new()));
    serde_json::from_str(api.operations[0].tool()).unwrap()
}

#[test]
fn what_stands_beside_the_reference_of_a_path_counts_as_well() {
    let text = r##"
openapi: 3.1.0
paths:
  /a: {$ref: "#/components/pathItems/A", parameters: [{name: own, in: query}], summary: Own}
  /b: {$ref: "#/components/pathItems/A", get: {operationId: ownGet}}
components: {pathItems: {A: {parameters: [{name: shared, in: query}], get: {operationId: get, description: Theirs}}}}
"##;
    let api = api_of(text, &options()).unwrap();
    let names: Vec<&str> = api.operations.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["get", "ownget"]);
    let tool: serde_json::Value = serde_json::from_str(api.operations[0].tool()).unwrap();
    let properties = tool["inputSchema"]["properties"].as_object().unwrap();
    let arguments: Vec<&str> = properties.keys().map(String::as_str).collect();
    assert_eq!(arguments, ["shared", "own"]);
    assert_eq!(tool["description"], "Own\n\nTheirs");
}

#[test]
fn a_reference_describes_what_it_leads_to_from_3_1_on() {
    let text = |version: &str| {
        format!(
            r##"
openapi: {version}
paths:
  /a:
    post:
      parameters: [{{$ref: "#/components/parameters/P", description: Here}}]
      requestBody: {{$ref: "#/components/requestBodies/B", description: This}}
components:
  parameters: {{P: {{name: p, in: query, description: There, schema: {{type: string, description: Of its schema}}}}}}
  requestBodies: {{B: {{description: That, content: {{application/json: {{schema: {{type: object, description: That one}}}}}}}}}}
"##
        )
    };
    let said = |version: &str| {
        let tool = only_tool(&text(version));
        let of = |name: &str| tool["inputSchema"]["properties"][name]["description"].as_str().unwrap().to_owned();
        (of("p"), of("body"))
    };
    assert_eq!(said("3.1.0"), ("Here\n\nOf its schema".to_owned(), "This\n\nThat one".to_owned()));
    assert_eq!(said("3.0.3"), ("There\n\nOf its schema".to_owned(), "That one".to_owned()));
}

#[test]
fn a_form_in_parts_is_sent_as_the_kind_that_the_description_names() {
    let sent = |kind: &str| {
        let text = format!(
            "openapi: 3.1.0\npaths: {{/a: {{post: {{operationId: a, requestBody: {{content: {{'{kind}': {{schema: {{type: object}}}}}}}}}}}}}}"
        );
        let api = api_of(&text, &options()).unwrap();
        let request = api.operations[0].request(&crate::support::base(), r#"{"body":{"n":1}}"#).unwrap();
        let header = request.headers.iter().find(|(name, _)| name == "content-type").unwrap().1.clone();
        header.split(';').next().unwrap().to_owned()
    };
    assert_eq!(sent("multipart/form-data"), "multipart/form-data");
    assert_eq!(sent("multipart/mixed"), "multipart/mixed");
    assert_eq!(sent("multipart/*"), "multipart/form-data");
}

#[test]
fn fields_of_a_form_in_parts_have_the_style_that_the_description_names_from_3_1_on() {
    let sent = |version: &str, encoding: &str| {
        let schema = "{type: object, properties: {o: {type: object}, l: {type: array}}}";
        let text = format!(
            "openapi: {version}\npaths: {{/a: {{post: {{operationId: a, requestBody: {{content: {{multipart/form-data: {{schema: {schema}, encoding: {{o: {encoding}, l: {encoding}}}}}}}}}}}}}}}"
        );
        let api = api_of(&text, &options()).unwrap();
        let arguments = r#"{"body":{"o":{"R":1,"G":"a b"},"l":["x","y"]}}"#;
        let request = api.operations[0].request(&crate::support::base(), arguments).unwrap();
        let body = String::from_utf8(request.body.unwrap()).unwrap();
        let parts = body.split("name=\"").skip(1).map(|part| {
            let (name, rest) = part.split_once('"').unwrap();
            format!("{name}={}", rest.split("\r\n\r\n").nth(1).unwrap().lines().next().unwrap())
        });
        parts.collect::<Vec<_>>().join(" & ")
    };
    assert_eq!(sent("3.1.0", "{style: deepObject}"), "o[R]=1 & o[G]=a b & l[0]=x & l[1]=y");
    assert_eq!(sent("3.1.0", "{style: form, explode: false}"), "o=R,1,G,a b & l=x,y");
    assert_eq!(sent("3.1.0", "{style: form}"), "R=1 & G=a b & l=x & l=y");
    assert_eq!(sent("3.0.3", "{style: form}"), r#"o={"R":1,"G":"a b"} & l=x & l=y"#);
}

#[test]
fn reserved_characters_stay_in_lists_where_the_description_allows_them() {
    let sent = |style: &str| {
        let text = format!(
            "openapi: 3.1.0\npaths: {{/a: {{get: {{operationId: a, parameters: [{{name: q, in: query, allowReserved: true, explode: false, style: {style}}}]}}}}}}"
        );
        let api = api_of(&text, &options()).unwrap();
        let request = api.operations[0].request(&crate::support::base(), r#"{"q":["a/b","c,d|e f"]}"#).unwrap();
        request.url.query().unwrap().to_owned()
    };
    assert_eq!(sent("form"), "q=a/b,c%2Cd%7Ce%20f");
    assert_eq!(sent("pipeDelimited"), "q=a/b%7Cc,d%7Ce%20f");
}

fn base_of(text: &str, origin: Option<&str>) -> Result<String, String> {
    let origin = origin.map(|url| Url::parse(url).unwrap());
    let api: Api = api_of(text, &Options { origin, ..Options::default() }).unwrap();
    api.base.map(|url| url.to_string())
}

#[test]
fn a_description_says_where_its_api_is() {
    let spec = Some("https://docs.test/specs/api.yaml");
    let cases = [
        ("openapi: 3.0.0\nservers: [{url: 'https://api.test/v1'}]", None, Ok("https://api.test/v1")),
        ("openapi: 3.0.0\nservers: [{url: '/v1'}]", spec, Ok("https://docs.test/v1")),
        ("openapi: 3.0.0\nservers: [{url: 'v1'}]", spec, Ok("https://docs.test/specs/v1")),
        ("openapi: 3.0.0\nservers: [{url: '/v1'}]", None, Err("is no URL")),
        ("openapi: 3.0.0", spec, Ok("https://docs.test/")),
        ("openapi: 3.0.0", None, Err("names no server; set `url`")),
        ("swagger: '2.0'\nhost: api.test\nbasePath: /v2", None, Ok("https://api.test/v2")),
        ("swagger: '2.0'\nbasePath: /v2\nschemes: [http]", spec, Ok("http://docs.test/v2")),
        ("openapi: 3.0.0\nservers: [{url: 'https://{x}.test'}]", None, Err("variable without a value")),
        ("openapi: 3.0.0\nservers: [{url: 'ftp://api.test'}]", None, Err("not at http:// or https://")),
        ("openapi: 3.0.0\nservers: [{url: 'https://u:p@api.test'}]", None, Err("holds a user")),
        ("openapi: 3.0.0\nservers: [{url: 'http://127.0.0.1:8080/'}]", None, Ok("http://127.0.0.1:8080/")),
        ("openapi: 3.0.0\nservers: [{url: '/x'}]", Some("http://127.0.0.1:80/api"), Ok("http://127.0.0.1/x")),
    ];
    for (text, origin, expected) in cases {
        match (base_of(text, origin), expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
            (Err(why), Err(expected)) => assert!(why.contains(expected), "{text}: {why}"),
            (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
        }
    }
}

#[test]
fn it_is_known_who_says_where_the_api_is() {
    let is_given = |text: &str, url: Option<&str>, origin: Option<&str>| {
        let (url, origin) = (url.map(|url| Url::parse(url).unwrap()), origin.map(|url| Url::parse(url).unwrap()));
        api_of(text, &Options { url, origin, ..Options::default() }).unwrap().base_is_given
    };
    let (text, spec) = ("openapi: 3.0.0\nservers: [{url: 'https://api.test/v1'}]", Some("https://docs.test/api.yaml"));
    assert!(is_given(text, Some("http://10.0.0.1/"), spec));
    assert!(is_given("openapi: 3.0.0\nservers: [{url: /v1}]", None, spec));
    assert!(is_given(text, None, Some("https://api.test/api.yaml")));
    assert!(!is_given(text, None, spec));
    assert!(!is_given(text, None, None));
}

#[test]
fn changes_are_told() {
    let old = api_of(PETS, &options()).unwrap();
    let newer = PETS.replace("All pets", "Every pet").replace("operationId: getPet", "operationId: readPet");
    let newer = api_of(&newer, &options()).unwrap();
    let changes = old.changes(&newer);
    assert_eq!(
        (changes.added, changes.removed, changes.changed),
        (vec!["readpet".to_owned()], vec!["getpet".to_owned()], vec!["listpets".to_owned()],)
    );
    assert!(old.changes(&old).is_empty());
}
