//! A server's list as the holders of a grant see it: without the tools that they may not use.
//!
//! Such a list is a list like any other, so whatever is made of it (pages, the index of names) is made once for all who
//! see the same, and listing and calling cannot disagree.

use std::sync::Arc;
use std::time::Duration;

use moka::sync::Cache;
use toolgate_access::tools::ToolFilter;

use super::last_good::Given;
use super::list::{Kind, ServerList};

/// What all such lists may take in memory.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

pub(super) struct GrantedLists(Cache<(usize, [u8; 16]), Arc<Granted>>);

struct Granted {
    /// The whole list: while it is held, no other can take its address.
    _whole: Arc<ServerList>,
    shown: Arc<ServerList>,
}

impl GrantedLists {
    /// Keeps what was asked for within `idle`.
    pub(super) fn new(idle: Duration) -> Self {
        let weigh =
            |_: &(usize, [u8; 16]), granted: &Arc<Granted>| u32::try_from(granted.shown.bytes()).unwrap_or(u32::MAX);
        Self(Cache::builder().max_capacity(MAX_BYTES).weigher(weigh).time_to_idle(idle).build())
    }

    /// What `tools` leaves of what was given; `None` leaves everything. Only tools have a filter.
    pub(super) fn shown(&self, kind: Kind, tools: Option<&ToolFilter>, given: Given) -> Given {
        let Some(tools) = tools.filter(|_| kind == Kind::Tools) else { return given };
        match given {
            Given::Fresh(list) => Given::Fresh(self.of(tools, list)),
            Given::LastGood(list, why) => Given::LastGood(self.of(tools, list), why),
            Given::Nothing(why) => Given::Nothing(why),
        }
    }

    fn of(&self, tools: &ToolFilter, list: Arc<ServerList>) -> Arc<ServerList> {
        let key = (Arc::as_ptr(&list) as usize, *tools.digest());
        let granted = self.0.get_with(key, || {
            let shown = Arc::new(list.only(|bare_tool| tools.allows(bare_tool)));
            Arc::new(Granted { _whole: Arc::clone(&list), shown })
        });
        Arc::clone(&granted.shown)
    }
}
