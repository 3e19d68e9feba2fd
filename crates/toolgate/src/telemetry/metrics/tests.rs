use super::*;

fn call<'a>(tool: &'a str) -> ServerOperation<'a> {
    ServerOperation {
        method: "tools/call",
        tool: Some(tool),
        error_type: None,
        version: "2025-11-25",
        transport: "tcp",
    }
}

/// The lines of `text` that begin with `start`.
fn lines<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn names_and_labels_are_those_that_dashboards_know() {
    let metrics = Metrics::new();
    metrics.server_operation(call("github-list_issues"), Duration::from_millis(15));
    metrics.client_operation("github", "tools/call", Some("-32602"), Duration::from_millis(300));
    metrics.request(RequestCount { server: Some("github"), tool: Some("x"), status: Status::Error, code: -32602 });
    metrics.request(RequestCount { server: None, tool: None, status: Status::Ok, code: 0 });
    metrics.upstream_up("github", true);
    metrics.overhead(Duration::from_micros(60));
    metrics.dropped_frames("github", "no_such_request");
    metrics.config_reload(false);
    metrics.server_session(Revision::V2025_11_25, Duration::from_secs(3));
    drop(metrics.client_session(Revision::V2026_07_28, "pipe"));
    let stream = metrics.stream_opened();

    let text = metrics.encode();
    for expected in [
        "# TYPE mcp_server_operation_duration_seconds histogram",
        "mcp_server_operation_duration_seconds_bucket{le=\"0.02\",mcp_method_name=\"tools/call\",gen_ai_tool_name=\"github-list_issues\",network_transport=\"tcp\",mcp_protocol_version=\"2025-11-25\"} 1",
        "mcp_client_operation_duration_seconds_count{server=\"github\",mcp_method_name=\"tools/call\",error_type=\"-32602\"} 1",
        "toolgate_requests_total{server=\"github\",tool=\"x\",status=\"error\",code=\"-32602\"} 1",
        "toolgate_requests_total{status=\"ok\"} 1",
        "toolgate_upstream_up{server=\"github\"} 1",
        "toolgate_overhead_seconds_bucket{le=\"0.0001\"} 1",
        "toolgate_dropped_frames_total{server=\"github\",why=\"no_such_request\"} 1",
        "toolgate_config_reloads_total{result=\"error\"} 1",
        "mcp_server_session_duration_seconds_bucket{le=\"5.0\",network_transport=\"tcp\",mcp_protocol_version=\"2025-11-25\"} 1",
        "mcp_client_session_duration_seconds_count{network_transport=\"pipe\",mcp_protocol_version=\"2026-07-28\"} 1",
        "toolgate_active_streams 1",
        concat!("toolgate_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
    ] {
        assert!(text.lines().any(|line| line == expected), "{expected} is missing in\n{text}");
    }
    drop(stream);
    assert!(metrics.encode().contains("toolgate_active_streams 0\n"));
}

#[test]
fn the_table_of_methods_is_sorted_so_that_every_method_is_found() {
    for method in METHODS {
        assert_eq!(method_label(method), method);
    }
    assert_eq!(method_label("tools/callx"), OTHER);
    assert_eq!(method_label(""), OTHER);
}

#[test]
fn a_hundred_thousand_names_of_any_kind_keep_the_page_under_a_mebibyte() {
    let metrics = Metrics::new();
    for n in 0..100_000 {
        let name = format!("tool\"\n{n}-{}", "x".repeat(n % 200));
        let took = Duration::from_millis(1);
        let code = n.to_string();
        let strange = ServerOperation { method: &name, error_type: Some(&code), version: &name, ..call(&name) };
        metrics.server_operation(strange, took);
        metrics.client_operation(&name, &name, Some(&code), took);
        metrics.request(RequestCount { server: Some(&name), tool: Some(&name), status: Status::Error, code: n as i32 });
        metrics.upstream_up(&name, true);
        metrics.dropped_frames(&name, "late");
    }
    let text = metrics.encode();
    assert!(text.len() < 1024 * 1024, "{} bytes", text.len());
    let rest = lines(&text, "toolgate_requests_total{server=\"_OTHER\",tool=\"_OTHER\"");
    let counted: u64 = rest[0].rsplit(' ').next().and_then(|count| count.parse().ok()).expect("a count");
    assert!(counted > 90_000, "what is not counted apart is counted together: {counted}");
}

#[test]
fn not_even_every_combination_of_known_values_breaks_the_bound() {
    let metrics = Metrics::new();
    let took = Duration::from_millis(1);
    for n in 0..2_000 {
        metrics.server_operation(call(&format!("tool-{n}")), took);
    }
    for method in METHODS {
        for version in Revision::ALL {
            for (tool, error_type) in [(None, None), (Some("x"), None), (None, Some("y")), (Some("x"), Some("y"))] {
                for transport in ["tcp", "pipe"] {
                    let version = version.name();
                    metrics.server_operation(ServerOperation { method, tool, error_type, version, transport }, took);
                }
            }
        }
    }
    let text = metrics.encode();
    assert!(text.len() < 512 * 1024, "{} bytes", text.len());
    assert!(text.contains("mcp_method_name=\"_OTHER\""));
}

#[test]
fn a_family_that_is_full_still_counts_the_series_it_has() {
    let metrics = Metrics::new();
    metrics.server_operation(call("first"), Duration::from_millis(1));
    for n in 0..1_000 {
        metrics.server_operation(call(&format!("other-{n}")), Duration::from_millis(1));
    }
    metrics.server_operation(call("first"), Duration::from_millis(1));
    let ping = ServerOperation { method: "ping", tool: None, ..call("") };
    metrics.server_operation(ping, Duration::from_millis(1));

    let text = metrics.encode();
    let counts = lines(&text, "mcp_server_operation_duration_seconds_count");
    assert!(counts.iter().any(|line| line.contains("\"first\"") && line.ends_with(" 2")), "{counts:#?}");
    assert!(counts.iter().any(|line| line.contains("\"ping\"") && !line.contains("gen_ai_tool_name")), "{counts:#?}");
}

#[test]
fn values_with_quotes_and_line_breaks_stay_one_line() {
    let metrics = Metrics::new();
    metrics.server_operation(call("a\"b\\c\nd"), Duration::from_millis(1));
    assert!(metrics.encode().contains(r#"gen_ai_tool_name="a\"b\\c\nd""#));
}

#[test]
fn a_server_that_is_gone_is_left_out() {
    let metrics = Metrics::new();
    metrics.upstream_up("a", true);
    metrics.upstream_up("b", false);
    metrics.upstream_gone("a");
    let text = metrics.encode();
    assert_eq!(lines(&text, "toolgate_upstream_up{"), ["toolgate_upstream_up{server=\"b\"} 0"]);
}

#[test]
fn two_gateways_in_one_process_count_apart() {
    let (one, other) = (Metrics::new(), Metrics::new());
    one.upstream_up("a", true);
    assert!(!other.encode().contains("server=\"a\""));
}

#[test]
fn codes_are_written_in_full_and_zero_is_left_out() {
    for (number, text) in [(0, ""), (7, "7"), (-32602, "-32602"), (i32::MIN, "-2147483648"), (i32::MAX, "2147483647")] {
        assert_eq!(decimal(number, &mut [0; 11]), text);
    }
}

#[test]
fn a_call_and_a_refusal_count_by_reason_and_what_never_happened_is_there_as_zero() {
    let metrics = Metrics::new();
    assert!(metrics.encode().contains("toolgate_policy_decisions_total{decision=\"allow\",reason=\"granted\"} 0\n"));
    metrics.allowed();
    metrics.denied(Denial::ServerRules);
    metrics.tools_changed("a", ToolChanges { added: 2, removed: 0, changed: 1 });
    let text = metrics.encode();
    for line in [
        "toolgate_policy_decisions_total{decision=\"allow\",reason=\"granted\"} 1",
        "toolgate_policy_decisions_total{decision=\"deny\",reason=\"server_rules\"} 1",
        "toolgate_tool_changes_total{server=\"a\",action=\"added\"} 2",
        "toolgate_tool_changes_total{server=\"a\",action=\"changed\"} 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} is missing in\n{text}");
    }
    assert!(!text.contains("removed"));
}

/// A request of a caller who is known by `name` in every way, for the tool `name`.
fn litellm_request(name: &str, status: Status, code: i32) -> LiteLlmRequest<'_> {
    LiteLlmRequest {
        method: "tools/call",
        route: "/mcp",
        caller: CallerLabels {
            hashed_api_key: name,
            api_key_alias: name,
            team: name,
            team_alias: name,
            user: name,
            end_user: name,
        },
        counted: RequestCount { server: Some(name), tool: Some(name), status, code },
        took: Duration::from_millis(30),
        upstream_took: Some(Duration::from_millis(20)),
    }
}

#[test]
fn litellms_metrics_are_switched_on_and_off_and_stay_bounded() {
    let metrics = Metrics::new();
    metrics.litellm_request(litellm_request("early", Status::Ok, 0));
    assert!(metrics.in_flight().is_none());
    metrics.offer_litellm(true);
    let working = metrics.in_flight();
    let text = metrics.encode();
    assert!(text.contains("litellm_in_flight_requests 1\n") && !text.contains("early"), "{text}");
    drop(working);
    for n in 0..20_000 {
        let name = format!("somebody\"{n}-{}", "x".repeat(n % 200));
        metrics.litellm_request(litellm_request(&name, Status::Ok, 0));
        metrics.litellm_request(litellm_request(&name, Status::Error, n as i32));
        metrics.spent(litellm_request(&name, Status::Ok, 0).caller, &name, &name, 0.5);
    }
    let text = metrics.encode();
    assert!(text.len() < 2 * 1024 * 1024, "{} bytes", text.len());
    assert!(text.contains("litellm_in_flight_requests 0\n"));
    metrics.offer_litellm(false);
    assert!(!metrics.encode().contains("litellm_"));
}

#[test]
fn what_went_wrong_has_the_class_and_status_that_litellm_gives_it() {
    let metrics = Metrics::new();
    metrics.offer_litellm(true);
    let cases = [
        (Status::ToolError, 0, "exception_class=\"MCPToolResultError\""),
        (Status::Error, -32602, "exception_status=\"400\",exception_class=\"BadRequestError\""),
        (Status::Error, -32012, "exception_status=\"403\",exception_class=\"PermissionDeniedError\""),
        (Status::Error, -32013, "exception_status=\"429\",exception_class=\"RateLimitError\""),
        (Status::Error, -32010, "exception_status=\"502\",exception_class=\"BadGatewayError\""),
        (Status::Error, -32001, "exception_status=\"504\",exception_class=\"Timeout\""),
        (Status::Error, 0, "exception_status=\"500\",exception_class=\"InternalServerError\""),
    ];
    for (status, code, labels) in cases {
        metrics.litellm_request(litellm_request("x", status, code));
        let text = metrics.encode();
        let failed = lines(&text, "litellm_proxy_failed_requests_metric_total");
        assert!(
            failed.iter().any(|line| line.contains(&format!("{labels},route=\"/mcp\"}} 1"))),
            "{labels}: {failed:#?}"
        );
    }
    let text = metrics.encode();
    assert!(lines(&text, "litellm_request_total_latency_metric").is_empty(), "only what succeeded has a latency");
}
