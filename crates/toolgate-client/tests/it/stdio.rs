//! Children that talk: well, badly, or not at all.

use tokio::time::{Duration, Instant, timeout};
use toolgate_client::{
    Call, Delivery, Error, Limits, Options, Problem, Session, StdioTarget, Target, Transport, load_mcp_tools,
};

use crate::support::calculator::Calculator;
use crate::support::child::{server, server_after};
use crate::support::{PATIENCE, listening, next, shell};

async fn connect(target: Target) -> Session {
    Session::connect(target, Options::default()).await.expect("connects")
}

async fn request(session: &Session, method: &str) -> Result<String, Error> {
    let answer = timeout(PATIENCE, session.request(method, None)).await.expect("no hang")?;
    Ok(answer.into_result().expect("a result"))
}

/// Not a test of its own: the child of the next one, when the variable says so.
#[tokio::test]
async fn a_real_server_for_the_test_below() {
    if std::env::var_os("SERVE_ON_STDIO").is_some() {
        let service = rmcp::serve_server(Calculator::new().0, rmcp::transport::stdio()).await.expect("a client");
        service.waiting().await.expect("no panic");
    }
}

#[tokio::test]
async fn a_real_server_is_served_by() {
    // The test program's own banner comes before the first message, as many servers have one.
    let session = connect(Target::Stdio(StdioTarget {
        command: std::env::current_exe().expect("a path").display().to_string(),
        args: ["stdio::a_real_server_for_the_test_below", "--exact", "--nocapture"].map(str::to_owned).to_vec(),
        env: vec![("SERVE_ON_STDIO".to_owned(), "1".to_owned())],
        cwd: None,
    }))
    .await;
    assert_eq!(session.server().transport, Transport::Stdio);
    assert_eq!(session.server().instructions.as_deref(), Some("Adds numbers"));
    let params = "{\n\t\"name\": \"sum\",\r\n\"arguments\": {\"a\": 1, \"b\": 2}}";
    let answer = session.request("tools/call", Some(params)).await.expect("an answer");
    assert!(answer.into_result().expect("a result").contains("\"3\""));
    assert_eq!(load_mcp_tools(&session, toolgate_client::Format::Mcp).await.expect("tools").len(), 4);
    session.close().await;
}

#[tokio::test]
async fn a_child_gets_its_environment_and_nothing_of_ours() {
    let target = Target::Stdio(StdioTarget {
        command: "sh".to_owned(),
        args: vec!["-c".to_owned(), "/usr/bin/env >&2; pwd >&2; exit 3".to_owned()],
        env: vec![("TOKEN".to_owned(), "t-1".to_owned())],
        cwd: Some("/usr".into()),
    });
    let error = Session::connect(target, Options::default()).await.expect_err("it ends");
    let Problem::ChildGone { status, stderr } = error.problem() else { panic!("{error}") };
    assert_eq!(status, "the process has ended (exit status: 3)");
    // The shell adds these by itself.
    let own = |line: &&String| !["PWD=", "OLDPWD=", "SHLVL=", "_="].iter().any(|name| line.starts_with(name));
    assert_eq!(stderr.iter().filter(own).collect::<Vec<_>>(), ["TOKEN=t-1", "/usr"]);
}

#[tokio::test]
async fn what_cannot_be_started_is_told_with_where_it_was_looked_for() {
    let target = |command: &str| {
        let env = vec![("PATH".to_owned(), "/nowhere".to_owned())];
        Target::Stdio(StdioTarget { command: command.to_owned(), env, ..StdioTarget::default() })
    };
    let folder = tempfile::tempdir().expect("a folder");
    let script = folder.path().join("script");
    std::fs::write(&script, "#!/nowhere/interpreter\n").expect("written");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&script, executable).expect("allowed");
    let script = script.display().to_string();
    for (command, text) in [
        ("no-such-mcp", "`no-such-mcp`: command not found; searched: PATH=/nowhere"),
        ("/nowhere/x", "`/nowhere/x`: command not found; searched: /nowhere/x"),
        ("", "the command is empty"),
        (script.as_str(), "cannot be started: No such file or directory"),
    ] {
        let error = Session::connect(target(command), Options::default()).await.expect_err("not there");
        assert!(error.to_string().contains(text), "expected: {text}\ngot: {error}");
        assert_eq!(error.delivery(), Delivery::NotSent);
    }
}

#[tokio::test]
async fn lines_that_are_no_messages_are_skipped() {
    let noise = r#"
        echo 'Server ready'; echo; printf '\357\273\277{"a":1}\r\n'; printf '\000\377\n'; echo '[1,'; echo '"x"'
        echo '{"jsonrpc":"2.0","id":"7","result":{}}'; echo '{"jsonrpc":"2.0","result":{}}'; echo '{"broken'"#;
    let batch = r#"
        batch) printf '[{"jsonrpc":"2.0","method":"n/1"},{"jsonrpc":"2.0","id":%s,"result":1}]\n' "$id" ;;
        twice) printf '{"jsonrpc":"2.0","method":"n/2"} {"jsonrpc":"2.0","id":%s,"result":2} rest\n' "$id" ;;
        crlf) printf '\357\273\277 {"jsonrpc":"2.0","id":%s,"result":3} \r\n' "$id" ;;
        pieces) printf '{"jsonrpc":"2.0",'; sleep 0.05; printf '"id":%s,"result":4}\n' "$id" ;;"#;
    let (options, mut heard) = listening();
    let session = Session::connect(server_after(noise, batch), options).await.expect("connects");
    for (method, result) in [("batch", "1"), ("twice", "2"), ("crlf", "3"), ("pieces", "4")] {
        assert_eq!(request(&session, method).await.expect("an answer"), result);
    }
    assert_eq!((next(&mut heard).await.0, next(&mut heard).await.0), ("n/1".to_owned(), "n/2".to_owned()));
}

#[tokio::test]
async fn answers_out_of_order_and_requests_of_the_child_are_sorted_out() {
    // The second request is answered before the first; the child's ping must be answered for either to come.
    let session = connect(server(
        r#"
        first) first=$id ;;
        second) printf '{"jsonrpc":"2.0","id":"p","method":"ping"}\n'; second=$id ;;
        *) case "$line" in *'"id":"p","result":{}'*)
             id=$second; answer 2; id=$first; answer 1 ;; esac ;;"#,
    ))
    .await;
    let (first, second) = tokio::join!(request(&session, "first"), request(&session, "second"));
    assert_eq!((first.expect("an answer"), second.expect("an answer")), ("1".to_owned(), "2".to_owned()));
}

#[tokio::test]
async fn a_line_without_end_ends_the_child() {
    let session = Session::connect(
        server("flood) exec tr '\\0' x < /dev/zero ;;"),
        Options { limits: Limits { message_bytes: 100_000, stderr_lines: 10 }, ..Options::default() },
    )
    .await
    .expect("connects");
    let error = request(&session, "flood").await.expect_err("too long");
    assert!(error.to_string().contains("sent a message of more than 100000 bytes"), "{error}");
    assert_eq!(error.delivery(), Delivery::Unknown);
    timeout(PATIENCE, session.closed()).await.expect("the session is over");
    assert!(session.request("ping", None).await.is_err());
}

#[tokio::test]
async fn a_crash_fails_waiting_calls_at_once_with_the_last_words() {
    for (crash, status) in [("exit 7", "exit status: 7"), ("kill -9 $$", "signal: 9 (SIGKILL)")] {
        let session =
            connect(server(&format!("crash) echo 'about to' >&2; printf 'die' >&2; {crash} ;; silence) ;;"))).await;
        let began = Instant::now();
        let (waiting, crashed) = tokio::join!(request(&session, "silence"), request(&session, "crash"));
        assert!(began.elapsed() < Duration::from_secs(5));
        for error in [waiting.expect_err("no answer"), crashed.expect_err("no answer")] {
            let told = error.to_string();
            assert!(
                told.contains(&format!("the process has ended ({status}); its last words: about to | die")),
                "{told}"
            );
            assert_eq!((error.delivery(), error.session_lost()), (Delivery::Unknown, true));
        }
        timeout(PATIENCE, session.closed()).await.expect("it is known");
        assert_eq!(session.stderr_tail(), ["about to", "die"]);
        let after = session.request("ping", None).await.expect_err("no child");
        assert_eq!((after.delivery(), after.session_lost()), (Delivery::NotSent, true));
    }
}

#[tokio::test]
async fn an_answer_written_just_before_the_end_still_counts() {
    let session = connect(server("last) answer '\"farewell\"'; exit 0 ;;")).await;
    assert_eq!(request(&session, "last").await.expect("an answer"), "\"farewell\"");
}

#[tokio::test]
async fn a_child_that_closes_its_output_is_of_no_use() {
    let session = connect(server("mute) exec >&-; sleep 1000 & wait ;;")).await;
    let error = request(&session, "mute").await.expect_err("no answer");
    assert!(error.to_string().contains("closed the session's stream: it has closed its output"), "{error}");
    assert!(error.session_lost());
}

#[tokio::test]
async fn a_child_that_does_not_read_blocks_nobody() {
    let session = Session::connect(
        server("deaf) while :; do sleep 1; done ;;"),
        Options { limits: Limits { message_bytes: 256 * 1024, stderr_lines: 10 }, ..Options::default() },
    )
    .await
    .expect("connects");
    let short = Call::with_timeout(Duration::from_millis(100));
    assert!(session.request_with("deaf", None, &short).await.expect_err("no answer").is_timeout());
    let large = format!("\"{}\"", "x".repeat(60_000));
    let mut refused = None;
    for _ in 0..20 {
        let error = session.request_with("x", Some(&format!("[{large}]")), &short).await.expect_err("no answer");
        if !error.is_timeout() {
            refused = Some(error);
            break;
        }
    }
    let refused = refused.expect("the queue has an end");
    assert!(matches!(refused.problem(), Problem::Busy), "{refused}");
    assert_eq!((refused.delivery(), refused.session_lost()), (Delivery::NotSent, false));
}

#[tokio::test]
async fn a_flood_on_stderr_holds_nothing_up_and_costs_a_bounded_tail() {
    let flood = r#"
        flood) head -c 50000000 /dev/zero | tr '\0' 'y' >&2; echo >&2
               i=0; while [ $i -lt 300 ]; do echo "line $i" >&2; i=$((i+1)); done; answer '"done"' ;;"#;
    let session = connect(server(flood)).await;
    assert_eq!(request(&session, "flood").await.expect("an answer"), "\"done\"");
    session.close().await;
    let tail = session.stderr_tail();
    assert_eq!(tail.len(), Limits::default().stderr_lines);
    assert_eq!(tail.last().map(String::as_str), Some("line 299"));
}

#[tokio::test]
async fn a_child_that_says_nothing_is_given_up() {
    let options = Options { connect_timeout: Duration::from_millis(200), ..Options::default() };
    let error = Session::connect(shell("sleep 1000"), options).await.expect_err("no session");
    assert!(error.is_timeout());
}

#[tokio::test]
async fn a_late_request_is_cancelled_by_a_notification() {
    let session =
        connect(server(r#"silence) ;; notifications/cancelled) echo "$line" >&2; seen=1 ;; seen) answer "$seen" ;;"#))
            .await;
    let call = Call::with_timeout(Duration::from_millis(100));
    assert!(session.request_with("silence", None, &call).await.expect_err("late").is_timeout());
    assert_eq!(request(&session, "seen").await.expect("an answer"), "1");
    session.close().await;
    assert!(session.stderr_tail()[0].contains(r#""requestId":4,"#));
}
