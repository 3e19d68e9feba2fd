use futures_util::{FutureExt as _, StreamExt as _};

use super::queue::{MAX_WAITING, MAX_WAITING_BYTES};
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

/// A stream whose events have their numbers as ids.
fn numbered() -> Arc<Outlet> {
    let outlet = Outlet::new();
    outlet.give_ids(Box::new(|number, _| number.to_string()));
    outlet
}

fn event(id: u64, data: &str) -> String {
    format!("event: message\nid: {id}\ndata: {data}\n\n")
}

#[tokio::test]
async fn events_come_out_in_their_order_and_the_last_ends_the_stream() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader().after(message("event: endpoint\ndata: x\n\n"));
    let promise = outlet.promise().expect("nothing waits");
    assert!(outlet.notify(message("1")) && outlet.ask(message("2")).is_some());
    promise.keep(message("3"));
    outlet.finish(Some(message("4")));
    assert!(!outlet.notify(message("late")) && outlet.ask(message("late")).is_none() && outlet.promise().is_none());
    let events = ["1", "2", "3", "4"].map(|text| format!("event: message\ndata: {text}\n\n"));
    assert_eq!(read(&mut reader), format!("event: endpoint\ndata: x\n\n{}", events.concat()));
    assert!(reader.next().await.is_none());
}

#[tokio::test]
async fn a_large_event_reads_like_a_small_one() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    let large = "x".repeat(100 * 1024);
    outlet.notify(message(&large));
    outlet.finish(Some(message(&format!("{large}\n{large}"))));
    let first = format!("event: message\ndata: {large}\n\n");
    assert_eq!(read(&mut reader), format!("{first}event: message\ndata: {large}\ndata: {large}\n\n"));
}

#[tokio::test]
async fn when_too_much_waits_the_oldest_notifications_go_and_are_counted() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    assert!(outlet.ask(message("question")).is_some());
    for n in 0..MAX_WAITING + 9 {
        assert!(outlet.notify(message(&format!("n{n}"))), "the newest always has room while older ones wait");
    }
    outlet.finish(Some(message("answer")));
    assert_eq!(outlet.take_dropped(), 10);
    let read = read(&mut reader);
    assert!(read.contains("question") && read.contains("answer"));
    assert!(!read.contains("data: n9\n") && read.contains("data: n10\n"));
}

#[tokio::test]
async fn a_question_that_finds_no_room_is_refused() {
    let outlet = Outlet::new();
    for _ in 0..MAX_WAITING {
        assert!(outlet.ask(message("question")).is_some());
    }
    assert!(outlet.ask(message("one more")).is_none());
    assert!(!outlet.notify(message("a notification")));
    assert_eq!(outlet.take_dropped(), 1, "the question is refused and not dropped");
}

#[tokio::test]
async fn bytes_are_bounded_and_one_event_alone_is_not() {
    let outlet = Outlet::new();
    let half = message(&"x".repeat(MAX_WAITING_BYTES / 2));
    assert!(outlet.notify(half.clone()) && outlet.notify(half.clone()) && outlet.notify(half));
    assert_eq!(outlet.take_dropped(), 1);
    assert!(outlet.ask(message(&"x".repeat(2 * MAX_WAITING_BYTES))).is_some(), "it has the place to itself");
    assert_eq!(outlet.take_dropped(), 2);
    assert!(outlet.ask(message("x")).is_none());
}

#[tokio::test]
async fn the_same_news_wait_once() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    for text in ["tools", "prompts", "tools"] {
        outlet.notify_once(message(text));
    }
    assert_eq!(read(&mut reader), "event: message\ndata: tools\n\nevent: message\ndata: prompts\n\n");
    outlet.notify_once(message("tools"));
    assert_eq!(read(&mut reader), "event: message\ndata: tools\n\n");
}

#[tokio::test]
async fn promised_answers_are_bounded_and_a_closing_stream_waits_for_them() {
    let outlet = Outlet::new();
    let mut reader = outlet.reader();
    let mut promises: Vec<_> = (0..MAX_ANSWERS).map(|_| outlet.promise().expect("there is room")).collect();
    assert!(outlet.promise().is_none());
    promises.pop().expect("the last").keep(message("1"));
    assert!(outlet.promise().is_none(), "it has not been read yet");
    assert_eq!(read(&mut reader), "event: message\ndata: 1\n\n");
    let kept = outlet.promise().expect("there is room again");
    outlet.close();
    assert!(outlet.promise().is_none() && !outlet.notify(message("late")));
    drop(promises);
    assert_eq!(reader.next().now_or_never(), None, "one answer is still to come");
    kept.keep(message("2"));
    assert_eq!(read(&mut reader), "event: message\ndata: 2\n\n");
    assert!(reader.next().await.is_none());
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
    assert!(!outlet.notify(message("2")) && outlet.ask(message("3")).is_none() && outlet.promise().is_none());
    assert_eq!(outlet.held_bytes(), 0);
}

#[tokio::test]
async fn a_stream_with_ids_is_taken_up_where_it_was_left() {
    let outlet = numbered();
    let mut reader = outlet.reader();
    for text in ["a", "b", "c"] {
        outlet.notify(message(text));
    }
    assert_eq!(read(&mut reader), [event(1, "a"), event(2, "b"), event(3, "c")].concat());
    drop(reader);
    assert!(outlet.left_since().is_some() && !outlet.is_deserted());
    outlet.finish(Some(message("d")));
    let mut reader = outlet.reader_after(1);
    assert_eq!(read(&mut reader), [event(2, "b"), event(3, "c"), event(4, "d")].concat());
    assert_eq!(read(&mut outlet.reader_after(3)), event(4, "d"), "as often as is asked");
    assert_eq!(read(&mut outlet.reader_after(4)), "");
}

#[tokio::test]
async fn who_takes_a_stream_up_ends_it_for_the_one_before() {
    let outlet = numbered();
    let mut first = outlet.reader();
    assert_eq!(first.next().now_or_never(), None);
    let mut second = outlet.reader();
    outlet.notify(message("a"));
    assert_eq!(first.next().await, None);
    drop(first);
    assert!(outlet.left_since().is_none(), "somebody still reads");
    assert_eq!(read(&mut second), event(1, "a"));
}

#[tokio::test]
async fn what_is_kept_of_what_was_read_is_bounded() {
    let outlet = numbered();
    let mut reader = outlet.reader();
    let large = message(&"x".repeat(100 * 1024));
    for _ in 0..10 {
        outlet.notify(large.clone());
        read(&mut reader);
    }
    assert!(outlet.held_bytes() <= 256 * 1024);
    for n in 0..1000 {
        outlet.notify(message(&n.to_string()));
        read(&mut reader);
    }
    let replayed = read(&mut outlet.reader_after(0));
    assert_eq!(replayed.matches("event: ").count(), 64);
    assert!(replayed.ends_with(&event(1010, "999")));
}

/// Its ids are the numbers and what is behind them.
fn with_places() -> Arc<Outlet> {
    let outlet = Outlet::new();
    let behind = |behind: Option<&[u8]>| String::from_utf8_lossy(behind.unwrap_or(b"-")).into_owned();
    outlet.give_ids(Box::new(move |number, place| format!("{number}{}", behind(place))));
    outlet
}

fn place(name: &str) -> Option<Place> {
    Some(Place::from(name.as_bytes()))
}

fn ids(read: &str) -> Vec<&str> {
    read.lines().filter_map(|line| line.strip_prefix("id: ")).collect()
}

#[tokio::test]
async fn an_id_leads_to_what_comes_after_its_event() {
    let outlet = with_places();
    assert!(outlet.notify(message("without a place")));
    outlet.passed(place("a"), true);
    assert!(outlet.notify(message("at a")));
    outlet.passed(place("b"), false);
    assert!(outlet.notify(message("the gateway's own")));
    outlet.passed(None, true);
    assert!(outlet.notify(message("no more places")));
    outlet.finish(Some(message("answer")));
    assert_eq!(ids(&read(&mut outlet.reader())), ["1-", "2a", "3b", "4-", "5-"]);
    assert_eq!(outlet.behind_beginning(), None);
}

#[tokio::test]
async fn while_a_question_is_before_the_client_ids_lead_back_to_it() {
    let outlet = with_places();
    outlet.passed(place("a"), true);
    assert!(outlet.notify(message("at a")));
    outlet.passed(place("b"), true);
    let first = outlet.ask(message("question at b")).unwrap();
    outlet.passed(place("c"), true);
    let second = outlet.ask(message("question at c")).unwrap();
    drop(first);
    outlet.passed(place("d"), true);
    assert!(outlet.notify(message("at d")));
    drop(second);
    outlet.passed(place("e"), true);
    assert!(outlet.notify(message("at e")));
    assert_eq!(ids(&read(&mut outlet.reader())), ["1a", "2a", "3a", "4a", "5e"]);
}

#[tokio::test]
async fn a_first_place_is_told_at_once_where_nothing_is_said_there() {
    let outlet = with_places();
    let mut reader = outlet.reader();
    outlet.tell_places();
    outlet.passed(place("a"), true);
    assert_eq!(read(&mut reader), "", "the message comes by itself");
    outlet.passed(place("b"), false);
    assert_eq!(read(&mut reader), "id: 1b\ndata: \n\n");
    outlet.passed(place("c"), false);
    assert_eq!(read(&mut reader), "", "one is enough");
    assert_eq!(outlet.behind_last_read(), place("b"));
    assert_eq!(outlet.behind_beginning(), place("b"));
    let known = with_places();
    known.passed(place("a"), false);
    known.tell_places();
    known.passed(place("b"), false);
    assert_eq!(read(&mut known.reader()), "", "the stream's first event has told it");
    assert_eq!(known.behind_beginning(), place("b"));
}
