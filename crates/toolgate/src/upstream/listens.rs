//! What a modern server is asked to tell of: one `subscriptions/listen` for each connection, with all that is wanted.
//!
//! Source: MCP 2026-07-28, Subscriptions.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::sleep;
use toolgate_client::{Events, Listening};
use toolgate_mcp::edit::Fields;
use toolgate_mcp::translate::subscriptions::Filter;

use super::connection::Connection;
use super::lane::Key;
use super::news::Changed;
use super::pool::Pool;

/// The pauses before a subscription that ended is asked for again.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Keeps a modern server telling of what is wanted, for as long as `connection` lives.
pub(super) async fn keep(pool: Weak<Pool>, key: Key, connection: Weak<Connection>) {
    let mut pause = FIRST_PAUSE;
    let mut running: Option<(Filter, Listening)> = None;
    loop {
        let Some((filter, session, ears, changed)) = wanted(&pool, &key, &connection) else { return };
        if filter.is_empty() {
            running = None;
        } else if running.as_ref().is_none_or(|(told, _)| *told != filter) {
            let params = format!("{{\"notifications\":{}}}", filter.to_json());
            // The former goes on until the next has been acknowledged, so that nothing is missed in between.
            match session.subscribe(&params, ears as Arc<dyn Events>).await {
                Ok(listening) => {
                    running = Some((filter, listening));
                    pause = FIRST_PAUSE;
                }
                Err(error) => {
                    tracing::debug!(%error, "a modern server does not tell of changes");
                    if session.is_closed() {
                        return;
                    }
                    tokio::select! {
                        () = sleep(pause) => {}
                        () = session.closed() => return,
                    }
                    pause = (pause * 2).min(LONGEST_PAUSE);
                    continue;
                }
            }
        }
        let ended = async {
            match &running {
                Some((_, listening)) => listening.ended().await,
                None => std::future::pending().await,
            }
        };
        let broke = tokio::select! {
            () = changed.notified() => false,
            () = session.closed() => return,
            _ = ended => true,
        };
        if broke {
            running = None;
            tokio::select! {
                () = sleep(pause) => {}
                () = session.closed() => return,
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
            // Whatever changed in between was not told.
            if let Some(pool) = pool.upgrade() {
                pool.lists_changed(&Changed::ALL);
            }
        }
    }
}

type Wanted = (Filter, toolgate_client::Session, Arc<super::ears::Ears>, Arc<tokio::sync::Notify>);

/// What is wanted now; `None` when the connection is gone.
fn wanted(pool: &Weak<Pool>, key: &Key, connection: &Weak<Connection>) -> Option<Wanted> {
    let (pool, connection) = (pool.upgrade()?, connection.upgrade()?);
    let capabilities = Fields::read(connection.session.server().capabilities.get()).ok();
    let offers = |name: &str, flag: &str| {
        let object = capabilities.as_ref().and_then(|all| all.get(name));
        let flag = object.and_then(|object| Fields::read(object.get()).ok()?.get(flag));
        flag.is_some_and(|flag| flag.get() == "true")
    };
    let lists = pool.hears_of_lists(key);
    let resource_uris = match offers("resources", "subscribe") {
        true => pool.standing().wanted(key).into_iter().map(String::from).collect(),
        false => Vec::new(),
    };
    let filter = Filter {
        tools: lists && offers("tools", "listChanged"),
        prompts: lists && offers("prompts", "listChanged"),
        resources: lists && offers("resources", "listChanged"),
        resource_uris,
        ..Filter::default()
    };
    let changed = Arc::clone(&connection.wishes_changed);
    Some((filter, connection.session.clone(), Arc::clone(&connection.ears), changed))
}
