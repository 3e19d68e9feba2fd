use futures_util::{FutureExt as _, StreamExt as _};

use super::*;

fn message(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// Everything that is there to be read.
fn read(reader: &mut Reader) -> String {
    let mut all = String::new();
    while let Some(Some(Ok(piece))) = reader.next().now_or_never() {
        all.push_str(std::str::from_utf8(&piece).expect("text"));
    }
    all
}

#[tokio::test]
async fn events_come_out_in_their_order_and_the_last_ends_the_stream() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader().after(message("event: endpoint\ndata: x\n\n"));
    assert!(outlet.notify(message("1")) && outlet.ask(message("2")) && outlet.answer(message("3")));
    outlet.finish(Some(message("4")));
    assert!(!outlet.notify(message("late")) && !outlet.ask(message("late")) && !outlet.answer(message("late")));
    let events = ["1", "2", "3", "4"].map(|text| format!("event: message\ndata: {text}\n\n"));
    assert_eq!(read(&mut reader), format!("event: endpoint\ndata: x\n\n{}", events.concat()));
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn a_large_event_reads_like_a_small_one() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    let large = "x".repeat(100 * 1024);
    outlet.answer(message(&large));
    outlet.answer(message(&format!("{large}\n{large}")));
    let first = format!("event: message\ndata: {large}\n\n");
    assert_eq!(read(&mut reader), format!("{first}event: message\ndata: {large}\ndata: {large}\n\n"));
}

#[tokio::test]
async fn when_too_much_waits_the_oldest_notifications_go_and_are_counted() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    assert!(outlet.ask(message("question")));
    for n in 0..MAX_WAITING + 9 {
        assert!(outlet.notify(message(&format!("n{n}"))), "the newest always has room while older ones wait");
    }
    assert!(outlet.answer(message("answer")), "an answer has room");
    assert_eq!(outlet.take_dropped(), 10);
    let read = read(&mut reader);
    assert!(read.contains("question") && read.contains("answer"));
    assert!(!read.contains("data: n9\n") && read.contains("data: n10\n"));
}

#[tokio::test]
async fn a_question_that_finds_no_room_is_refused() {
    let outlet = Outlet::new();
    for _ in 0..MAX_WAITING {
        assert!(outlet.ask(message("question")));
    }
    assert!(!outlet.ask(message("one more")));
    assert!(!outlet.notify(message("a notification")));
    assert_eq!(outlet.take_dropped(), 1, "the question is refused and not dropped");
}

#[tokio::test]
async fn bytes_are_bounded_and_one_event_alone_is_not() {
    let outlet = Outlet::new();
    let half = message(&"x".repeat(MAX_WAITING_BYTES / 2));
    assert!(outlet.notify(half.clone()) && outlet.notify(half.clone()) && outlet.notify(half));
    assert_eq!(outlet.take_dropped(), 1);
    assert!(outlet.ask(message(&"x".repeat(2 * MAX_WAITING_BYTES))), "it has the place to itself");
    assert_eq!(outlet.take_dropped(), 2);
    assert!(!outlet.ask(message("x")));
}

#[tokio::test]
async fn a_response_begins_at_the_first_event_and_not_before_it_may() {
    let outlet = Outlet::new();
    let mut begun = std::pin::pin!(std::future::poll_fn(|context| outlet.poll_begin(context)));
    assert!(futures_util::poll!(begun.as_mut()).is_pending());
    outlet.notify(message("1"));
    assert!(futures_util::poll!(begun.as_mut()).is_pending());
    outlet.let_begin();
    begun.await;
}

#[tokio::test]
async fn a_reader_that_goes_leaves_nothing_behind() {
    let outlet = Outlet::new();
    outlet.notify(message("1"));
    let mut deserted = std::pin::pin!(outlet.deserted());
    assert!(futures_util::poll!(deserted.as_mut()).is_pending());
    drop(outlet.reader());
    deserted.await;
    assert!(outlet.is_deserted());
    assert!(!outlet.notify(message("2")) && !outlet.ask(message("3")) && !outlet.answer(message("4")));
}
