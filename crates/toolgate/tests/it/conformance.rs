//! The official conformance suite through the gate: what a server passes directly, it passes through the gate.
//!
//! The fixture is the same both times, so a check that succeeds directly and not through the gate is the gate's doing.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::support::conformance::{Verdict, judge_scenario, judge_server};
use crate::support::{Era, Fixture, KeyProxy, TestGateway, config};

/// The beginning of the names of checks that are not expected to succeed (`scenario: check`), and why they are not.
pub(crate) type Exception = (&'static str, &'static str);

/// The verdict on a fixture behind a gate that has only this server.
async fn through_the_gate(era: Era, revision: &str) -> Verdict {
    let fixture = Fixture::start(era).await;
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("fixture", fixture.entry());
    let gate = TestGateway::start(config).await;
    let proxy = KeyProxy::start(&gate.url("")).await;
    let verdict = judge_server(&proxy.url("/mcp"), revision).await;
    gate.stop().await;
    verdict
}

async fn directly(era: Era, revision: &str) -> Verdict {
    let fixture = Fixture::start(era).await;
    judge_server(fixture.url(), revision).await
}

/// Fails with the differences between what failed and what may, both ways: an exception that is not needed is wrong.
pub(crate) fn only_these_fail(failed: BTreeSet<String>, exceptions: &[Exception]) {
    let is_allowed = |check: &&String| exceptions.iter().any(|(allowed, _)| check.starts_with(allowed));
    let unexpected: Vec<_> = failed.iter().filter(|check| !is_allowed(check)).collect();
    let is_needed = |allowed: &str| failed.iter().any(|check| check.starts_with(allowed));
    let outlived: Vec<_> = exceptions.iter().filter(|(allowed, _)| !is_needed(allowed)).collect();
    assert!(unexpected.is_empty() && outlived.is_empty(), "failed: {unexpected:#?}\nno longer fail: {outlived:#?}");
}

/// Everything that succeeds directly succeeds through the gate.
async fn as_good_as_direct(revision: &str) {
    let (direct, through) = tokio::join!(directly(Era::Both, revision), through_the_gate(Era::Both, revision));
    only_these_fail(direct.failures(), &[]);
    only_these_fail(through.lost_from(&direct), &[]);
}

/// A gate before a server of the other era carries everything that a server of both eras would, but for `exceptions`.
async fn as_good_as_both_eras(era: Era, revision: &str, exceptions: &[Exception]) {
    let (direct, through) = tokio::join!(directly(Era::Both, revision), through_the_gate(era, revision));
    only_these_fail(through.lost_from(&direct), exceptions);
}

#[tokio::test(flavor = "multi_thread")]
async fn revision_2025_06_18_loses_nothing_through_the_gate() {
    as_good_as_direct("2025-06-18").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revision_2025_11_25_loses_nothing_through_the_gate() {
    as_good_as_direct("2025-11-25").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn revision_2026_07_28_loses_nothing_through_the_gate() {
    as_good_as_direct("2026-07-28").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_with_a_handshake_reach_a_server_of_2026_07_28() {
    as_good_as_both_eras(Era::Modern, "2025-11-25", &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_of_2026_07_28_reach_a_server_with_a_handshake() {
    const NAMELESS: &str = "a question of a server with a handshake has no name, so the gate gives it one of its own";
    const NO_PARKED_CALL: &str = "answers without `requestState` belong to no call that waits in such a server";
    let exceptions = [
        ("input-required-result-basic-elicitation: sep-2322-elicitation", NAMELESS),
        ("input-required-result-ignore-extra-params: sep-2322-ignore-unexpected-params", NO_PARKED_CALL),
    ];
    as_good_as_both_eras(Era::Legacy, "2026-07-28", &exceptions).await;
}

/// The suite's scenario says nothing of an answer in JSON, which the gate gives when it is there soon; here it is a stream
/// from the start, and something on the way ends it after its first event.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_ends_early_is_come_back_to_for_its_answer() {
    let fixture = Fixture::start(Era::Both).await;
    let config = config().general("mcp_tool_prefix: when_ambiguous").server("fixture", fixture.entry());
    let at_once = |settings: &mut toolgate::config::Settings| settings.clients.resumable_after = Duration::ZERO;
    let gate = TestGateway::start_with(config, at_once).await;
    let proxy = KeyProxy::start_cutting(&gate.url(""), Some("test_reconnection")).await;
    let verdict = judge_scenario(&proxy.url("/mcp"), "server-sse-polling", "2025-11-25").await;
    only_these_fail(verdict.failures(), &[]);
    let checks = ["server-sse-disconnect-resume", "server-sse-priming-event", "server-sse-retry-field"];
    assert_eq!(verdict.successes(), BTreeSet::from(checks));
    gate.stop().await;
}
