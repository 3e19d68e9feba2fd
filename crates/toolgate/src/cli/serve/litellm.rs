//! Options of `litellm` that say how its Python server runs. They are taken, so that its command lines work, and have
//! nothing to act on here: one process uses every core and is not restarted.
//!
//! Options whose loss would matter, such as certificates to serve TLS with, are not among them and are refused.

/// LiteLLM's options without effect.
#[derive(Debug, clap::Args)]
pub(super) struct LiteLlmArgs {
    /// Taken so that LiteLLM's command lines work; one process uses every core
    #[arg(long = "num_workers", alias = "num-workers", value_name = "N")]
    num_workers: Option<String>,

    #[arg(long = "telemetry", hide = true)]
    telemetry: Option<String>,

    #[arg(long = "keepalive_timeout", hide = true)]
    keepalive_timeout: Option<String>,

    #[arg(long = "timeout_worker_healthcheck", hide = true)]
    timeout_worker_healthcheck: Option<String>,

    #[arg(long = "max_requests_before_restart", hide = true)]
    max_requests_before_restart: Option<String>,

    #[arg(long = "max_requests_before_restart_jitter", hide = true)]
    max_requests_before_restart_jitter: Option<String>,

    #[arg(long = "run_gunicorn", hide = true)]
    run_gunicorn: bool,

    #[arg(long = "run_hypercorn", hide = true)]
    run_hypercorn: bool,

    #[arg(long = "run_granian", hide = true)]
    run_granian: bool,

    #[arg(long = "granian_threads", hide = true)]
    granian_threads: Option<String>,

    #[arg(long = "use_prisma_db_push", hide = true)]
    use_prisma_db_push: bool,

    #[arg(long = "use_v2_migration_resolver", hide = true)]
    use_v2_migration_resolver: bool,

    #[arg(long = "use_legacy_migration_resolver", hide = true)]
    use_legacy_migration_resolver: bool,
}

impl LiteLlmArgs {
    /// The options that were given.
    pub(super) fn given(&self) -> impl Iterator<Item = &'static str> {
        let all = [
            ("--num_workers", self.num_workers.is_some()),
            ("--telemetry", self.telemetry.is_some()),
            ("--keepalive_timeout", self.keepalive_timeout.is_some()),
            ("--timeout_worker_healthcheck", self.timeout_worker_healthcheck.is_some()),
            ("--max_requests_before_restart", self.max_requests_before_restart.is_some()),
            ("--max_requests_before_restart_jitter", self.max_requests_before_restart_jitter.is_some()),
            ("--run_gunicorn", self.run_gunicorn),
            ("--run_hypercorn", self.run_hypercorn),
            ("--run_granian", self.run_granian),
            ("--granian_threads", self.granian_threads.is_some()),
            ("--use_prisma_db_push", self.use_prisma_db_push),
            ("--use_v2_migration_resolver", self.use_v2_migration_resolver),
            ("--use_legacy_migration_resolver", self.use_legacy_migration_resolver),
        ];
        all.into_iter().filter_map(|(flag, given)| given.then_some(flag))
    }
}
