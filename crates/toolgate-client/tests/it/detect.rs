//! Which of the two HTTP transports a server has.

use toolgate_client::{HttpKind, Options, Session, Transport};

use crate::support::calculator::Calculator;
use crate::support::http;
use crate::support::old::Old;
use crate::support::script::{Reply, Script};

#[tokio::test]
async fn both_transports_are_found() {
    let new = Calculator::new().0.serve(true).await;
    let old = Old::serve("/messages").await;
    for (url, transport) in [(new, Transport::Streamable), (old.url, Transport::Sse)] {
        let session = Session::connect(http(&url, HttpKind::Detect), Options::default()).await.expect("connects");
        assert_eq!(session.server().transport, transport);
    }
}

#[tokio::test]
async fn a_server_with_neither_is_told_both_stories() {
    let server = Script::serve(|asked| match asked.method.as_str() {
        "POST" => Reply::with("404 Not Found", "content-type: text/html\r\n", "<h1>nothing here</h1>"),
        _ => Reply::with("200 OK", "content-type: text/html\r\n", "<h1>welcome</h1>"),
    });
    let error = Session::connect(http(&server.url, HttpKind::Detect), Options::default()).await.expect_err("no server");
    let told = error.to_string();
    assert!(told.contains("is not an MCP server: Streamable HTTP: answered HTTP 404"), "{told}");
    assert!(told.contains("; HTTP+SSE: answered `text/html`"), "{told}");
    assert_eq!(error.status().expect("the first one's").as_u16(), 404);
}

#[tokio::test]
async fn a_refusal_of_credentials_or_a_fault_is_not_a_question_of_transport() {
    for (status, code) in [("401 Unauthorized", 401), ("403 Forbidden", 403), ("429 Slow Down", 429), ("502 Bad", 502)]
    {
        let mut server = Script::serve(move |_| Reply::with(status, "www-authenticate: Bearer\r\n", ""));
        let connect = Session::connect(http(&server.url, HttpKind::Detect), Options::default());
        let error = connect.await.expect_err("refused");
        assert_eq!(error.status().expect("a status").as_u16(), code);
        assert!(error.www_authenticate().is_some());
        assert_eq!(server.next().await.method, "POST");
        assert!(server.asked.try_recv().is_err(), "nothing else was tried");
    }
}
