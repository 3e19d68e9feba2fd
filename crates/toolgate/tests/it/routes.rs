//! Every route asks for the key that the table says, in one voice, and nothing is served outside the table.

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use toolgate::server::routes::{Access, ROUTES, Route};

use crate::support::{FakeMcp, TestGateway, config, memory, script};

/// The route's path with a server's name where it varies.
fn path(route: &Route) -> String {
    let parts = route.path.split('/').map(|part| match part {
        "{*names}" | "{names}" => "files",
        part if part.starts_with('{') => "nobody",
        part => part,
    });
    parts.collect::<Vec<_>>().join("/")
}

async fn gate() -> (TestGateway, FakeMcp) {
    let fake = FakeMcp::start(script().tools(&["read"])).await;
    (TestGateway::start(config().server("files", fake.entry())).await, fake)
}

#[tokio::test]
async fn every_route_asks_for_the_key_that_the_table_says() {
    let (gate, fake) = gate().await;
    let refused = gate.anonymous().post("/mcp", "{}").await;
    for route in ROUTES {
        let method: Method = route.method.parse().unwrap();
        // Parameters that the route cannot read must not be told to somebody without a key either.
        for query in ["", "?server_id=a&server_id=b", "?session_id=%ff"] {
            let reply = gate.anonymous().send(method.clone(), &format!("{}{query}", path(route)), "{").await;
            let place = format!("{} {}{query}", route.method, route.path);
            match route.access {
                Access::Key => {
                    assert_eq!(reply.status, 401, "{place}: {reply:?}");
                    assert_eq!(reply.body, refused.body, "{place}");
                    assert_eq!(reply.header("www-authenticate"), "Bearer", "{place}");
                }
                Access::Role(_) => {
                    assert_eq!(reply.status, 401, "{place}: {reply:?}");
                    assert_eq!(reply.json()["error"]["type"], "auth_error", "{place}");
                    assert_eq!(reply.header("www-authenticate"), "Bearer", "{place}");
                }
                // The registry is switched off, which it says to everybody.
                Access::Public if route.path == "/v1/mcp/registry.json" => assert_eq!(reply.status, 404, "{place}"),
                Access::Public => assert_eq!(reply.status, 200, "{place}: {reply:?}"),
            }
        }
    }
    assert_eq!(fake.seen().len(), 0, "nobody was asked");
}

#[tokio::test]
async fn a_path_that_cannot_be_read_is_refused_like_any_other_without_a_key() {
    let (gate, _fake) = gate().await;
    assert_eq!(gate.anonymous().post("/mcp/%ff", "{}").await.status, 401);
    let reply = gate.admin().post("/mcp/%ff", "{}").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["detail"]["error"]), (400, &json!("invalid_path")));
}

#[tokio::test]
async fn paths_that_resemble_routes_lead_nowhere_without_a_key() {
    let (gate, fake) = gate().await;
    let list = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#;
    let anyone = gate.anonymous().with("x-original-url", "/livez").with("x-http-method-override", "GET");
    for path in
        ["//mcp", "/MCP", "/health/../mcp", "/health/..%2fmcp", "/livez/mcp", "/mcp;/livez", "/livez%00/mcp", "/mcp/./"]
    {
        let reply = anyone.post(path, list).await;
        assert!(matches!(reply.status.as_u16(), 401 | 404 | 405), "{path}: {reply:?}");
        assert!(reply.json()["detail"]["message"].is_string(), "{path}: {reply:?}");
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn a_wrong_method_and_a_wrong_path_are_told_in_the_usual_form() {
    let (gate, _fake) = gate().await;
    for (path, allowed) in
        [("/mcp", "POST"), ("/mcp/files", "POST"), ("/livez", "GET"), ("/mcp-rest/tools/call", "POST")]
    {
        let reply = gate.admin().send(Method::PATCH, path, "").await;
        assert_eq!((reply.status.as_u16(), &reply.json()["detail"]["error"]), (405, &json!("method_not_allowed")));
        assert!(reply.header("allow").contains(allowed), "{path}: {reply:?}");
    }
    let reply = gate.admin().get("/nothing/here").await;
    assert_eq!((reply.status.as_u16(), &reply.json()["detail"]["error"]), (404, &json!("not_found")));
}

#[tokio::test]
async fn a_path_names_servers_as_litellms_does() {
    let files = FakeMcp::start(script().tools(&["read"])).await;
    let maps = FakeMcp::start(script().tools(&["find"])).await;
    let gate = TestGateway::start(config().server("files", files.entry()).server("maps", maps.entry())).await;
    let cases: [(&str, &[&str]); 9] = [
        ("/mcp/files", &["files-read"]),
        ("/mcp/files/", &["files-read"]),
        ("/mcp/files,maps", &["files-read", "maps-find"]),
        ("/mcp/files%2Cmaps", &["files-read", "maps-find"]),
        ("/mcp/maps,files/tools", &["files-read", "maps-find"]),
        ("/mcp/maps,nobody", &["maps-find"]),
        ("/files/mcp", &["files-read"]),
        ("/files/mcp/", &["files-read"]),
        ("/files,maps/mcp", &["files-read", "maps-find"]),
    ];
    for (path, expected) in cases {
        assert_eq!(gate.admin().names(path, "tools/list", "tools", "name").await, expected, "{path}");
    }
    for path in ["/mcp/nobody", "/mcp/files/tools", "/nobody/mcp", "/toolset/files/mcp"] {
        let reply = gate.admin().post(path, r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#).await;
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}

#[tokio::test]
async fn servers_that_the_header_does_not_find_are_told_to_the_request_that_asked() {
    let (gate, fake) = gate().await;
    let words = "The key is not allowed to access the requested MCP servers: nobody";
    let caller = gate.admin().with("x-mcp-servers", "nobody");
    let answer = caller.rpc("tools/list", json!({})).await;
    assert_eq!((answer.error_code(), answer.error_message()), (-32600, words));
    assert_eq!(answer.message()["id"], 1);
    let reply = caller.post("/mcp", r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#).await;
    assert_eq!((reply.status.as_u16(), &reply.json()["detail"]["message"]), (403, &json!(words)));
    // An empty header names nobody; it does not stand for everybody.
    assert_eq!(gate.admin().with("x-mcp-servers", "").tool_names().await, [""; 0]);
    assert_eq!(gate.admin().with("x-mcp-servers", "").call("files-read", json!({})).await.error_code(), -32602);
    assert_eq!(fake.seen().len(), 0);
    // Two headers are one list.
    let both = caller.with_another("x-mcp-servers", "files");
    assert_eq!(both.tool_names().await, ["files-read"]);
}

#[tokio::test]
async fn no_spelling_of_a_route_opens_it_without_a_key() {
    let (gate, fake) = gate().await;
    let anyone = gate
        .anonymous()
        .with("x-original-url", "/livez")
        .with("x-rewrite-url", "/livez")
        .with("x-forwarded-prefix", "/livez")
        .with("x-http-method-override", "GET");
    for route in ROUTES.iter().filter(|route| route.access != Access::Public) {
        let method: Method = route.method.parse().unwrap();
        let path = path(route);
        let spellings = [
            path.clone(),
            format!("/{path}"),
            format!("{path}/"),
            format!("/livez/..{path}"),
            format!("/livez/..%2f{}", &path[1..]),
            format!("/livez;{path}"),
            format!("{path}%00"),
            format!("{path}%2f"),
            path.to_uppercase(),
            format!("{path}?x=/livez"),
            format!("{path}%3f/livez"),
        ];
        for spelling in spellings {
            let reply = anyone.send(method.clone(), &spelling, "{}").await;
            assert!(matches!(reply.status.as_u16(), 400..=499), "{} {spelling}: {reply:?}", route.method);
        }
    }
    assert_eq!(fake.seen().len(), 0);
}

/// Sends bytes as they are, and gives what comes back until the connection ends or falls silent.
async fn raw(gate: &TestGateway, bytes: &[u8]) -> String {
    let address = gate.url("").trim_start_matches("http://").to_owned();
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut heard = Vec::new();
    // What keeps the connection open is cut off; nobody waits for more.
    let reading = tokio::time::timeout(std::time::Duration::from_millis(500), stream.read_to_end(&mut heard));
    let _ = reading.await;
    String::from_utf8_lossy(&heard).into_owned()
}

#[tokio::test]
async fn a_request_that_two_readers_would_cut_differently_is_refused_and_what_follows_it_is_not_served() {
    let (gate, fake) = gate().await;
    let hidden = "GET /v1/mcp/server HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let key = format!(
        "Host: localhost\r\nx-litellm-api-key: {}\r\nContent-Type: application/json\r\n",
        crate::support::MASTER_KEY
    );
    let cases = [
        (
            "two lengths",
            format!("POST /mcp HTTP/1.1\r\n{key}Content-Length: 2\r\nContent-Length: 60\r\n\r\n{{}}{hidden}"),
        ),
        ("a list of lengths", format!("POST /mcp HTTP/1.1\r\n{key}Content-Length: 2, 60\r\n\r\n{{}}{hidden}")),
        ("a signed length", format!("POST /mcp HTTP/1.1\r\n{key}Content-Length: +2\r\n\r\n{{}}{hidden}")),
        (
            "a coding that is none",
            format!("POST /mcp HTTP/1.1\r\n{key}Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunked and then not",
            format!("POST /mcp HTTP/1.1\r\n{key}Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        (
            "chunked in HTTP/1.0",
            format!("POST /mcp HTTP/1.0\r\n{key}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}"),
        ),
        ("a space before the colon", format!("POST /mcp HTTP/1.1\r\n{key}Content-Length : 2\r\n\r\n{{}}{hidden}")),
        ("a folded header", format!("POST /mcp HTTP/1.1\r\n{key}X-A: b\r\n Content-Length: 2\r\n\r\n{hidden}")),
        ("no name", format!("POST /mcp HTTP/1.1\r\n{key}: 2\r\n\r\n{hidden}")),
        (
            "a chunk's size that is none",
            format!("POST /mcp HTTP/1.1\r\n{key}Transfer-Encoding: chunked\r\n\r\n+2\r\n{{}}\r\n0\r\n\r\n{hidden}"),
        ),
    ];
    for (what, bytes) in cases {
        let heard = raw(&gate, bytes.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400") || heard.starts_with("HTTP/1.0 400"), "{what}: {heard}");
        assert_eq!(heard.matches("HTTP/1.").count(), 1, "{what}: {heard}");
    }
    // A length beside chunks: the chunks count, and the connection ends, so that nothing follows.
    let both = format!(
        "POST /mcp HTTP/1.1\r\n{key}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n{hidden}"
    );
    let heard = raw(&gate, both.as_bytes()).await;
    assert!(heard.matches("HTTP/1.").count() <= 1, "{heard}");
    // A Host that goes on as a path names no other route.
    for host in ["x/health/liveliness?", "localhost#", "a b", "localhost, localhost", "user@localhost"] {
        let request = format!("GET /v1/mcp/server HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let heard = raw(&gate, request.as_bytes()).await;
        assert!(heard.starts_with("HTTP/1.1 400") || heard.starts_with("HTTP/1.1 403"), "{host}: {heard}");
    }
    assert_eq!(fake.seen().len(), 0);
}

#[tokio::test]
async fn a_compressed_body_is_not_unpacked() {
    let gate = TestGateway::start_with_store(config(), memory().await).await;
    for (path, encoding) in [("/mcp", "gzip"), ("/key/generate", "br"), ("/mcp-rest/tools/call", "zstd")] {
        let reply = gate.admin().with("content-encoding", encoding).post(path, vec![0x1f, 0x8b, 8, 0]).await;
        assert_eq!(reply.status, 415, "{path}: {reply:?}");
    }
}
