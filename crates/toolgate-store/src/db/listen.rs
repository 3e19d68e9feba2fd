//! PostgreSQL's notifications.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};

/// How a connection for notifications is made.
pub(crate) struct Notices {
    pub(super) options: PgConnectOptions,
    pub(super) limit: Duration,
}

/// A connection that hears of changes.
pub(crate) struct Listener(PgListener);

impl Notices {
    /// Connects; `None` when that failed or took too long.
    pub(crate) async fn listen(&self, channel: &str) -> Option<Listener> {
        // One connection beside the pool, so that waiting for news takes nobody's.
        let options = PgPoolOptions::new().max_connections(1).acquire_timeout(self.limit);
        let pool = options.connect_lazy_with(self.options.clone());
        let listening = async {
            let mut listener = PgListener::connect_with(&pool).await?;
            listener.listen(channel).await?;
            Ok::<_, sqlx::Error>(Listener(listener))
        };
        match tokio::time::timeout(self.limit, listening).await {
            Ok(Ok(listener)) => Some(listener),
            Ok(Err(error)) => {
                tracing::debug!(%error, "changes of other replicas are polled: the notification connection failed");
                None
            }
            Err(_) => None,
        }
    }
}

impl Listener {
    /// Waits for a notification; false when the connection was lost.
    pub(crate) async fn hear(&mut self) -> bool {
        matches!(self.0.try_recv().await, Ok(Some(_)))
    }
}
