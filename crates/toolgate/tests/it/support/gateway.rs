//! A gateway in the test's own process, on a port that the system chose.

use std::net::{IpAddr, Ipv4Addr};

use toolgate::config::settings::Bind;
use toolgate::config::{Environment, Paint, Settings};
use toolgate::lifecycle::{self, Running};
use toolgate::telemetry::{Metrics, Traces};
use toolgate_store::Store;

use super::caller::Caller;
use super::config::Config;
use super::soon;

/// The master key of every test's gateway.
pub(crate) const MASTER_KEY: &str = "sk-test-7c1f0a5be2d94c3f8a6b4d1e9f20c7a8";

/// A running gateway.
///
/// It ends with the test's runtime; [`TestGateway::stop`] ends it in order, children included.
pub(crate) struct TestGateway {
    running: Running,
    base: String,
}

impl TestGateway {
    /// Starts a gateway; fails the test with every finding if the configuration is wrong.
    pub(crate) async fn start(config: Config) -> Self {
        Self::start_with(config, |_| {}).await
    }

    /// The same with settings that no configuration file has.
    pub(crate) async fn start_with(config: Config, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&config);
        set(&mut settings);
        let bind = a_free_port();
        let running = soon("starting the gateway", lifecycle::start(settings, bind)).await.unwrap();
        let base = format!("http://{}", running.address());
        Self { running, base }
    }

    /// The same with traces, which the test sends off.
    pub(crate) async fn start_traced(config: Config, traces: &Traces) -> Self {
        let settings = settings(&config);
        let bind = a_free_port();
        let starting = lifecycle::start_with(settings, bind, Metrics::new(), traces.clone(), None);
        let running = soon("starting the gateway", starting).await.unwrap();
        let base = format!("http://{}", running.address());
        Self { running, base }
    }

    /// The same with this database.
    pub(crate) async fn start_with_store(config: Config, store: Store) -> Self {
        Self::start_with_store_and(config, store, |_| {}).await
    }

    /// The same with settings that no configuration file has.
    pub(crate) async fn start_with_store_and(config: Config, store: Store, set: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = settings(&config);
        set(&mut settings);
        let bind = a_free_port();
        let starting = lifecycle::start_with(settings, bind, Metrics::new(), Traces::disabled(), Some(store));
        let running = soon("starting the gateway", starting).await.unwrap();
        let base = format!("http://{}", running.address());
        Self { running, base }
    }

    /// The same with a port for metrics alone.
    pub(crate) async fn start_with_metrics_port(config: Config) -> Self {
        let bind = Bind { metrics_port: Some(0), ..a_free_port() };
        let running = soon("starting the gateway", lifecycle::start(settings(&config), bind)).await.unwrap();
        let base = format!("http://{}", running.address());
        Self { running, base }
    }

    /// A caller without a key at the port for metrics.
    pub(crate) fn metrics_port(&self) -> Caller {
        Caller::new(&format!("http://{}", self.running.metrics_address().unwrap()))
    }

    /// `http://127.0.0.1:PORT` and `path`.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// A caller without a key.
    pub(crate) fn anonymous(&self) -> Caller {
        Caller::new(&self.base)
    }

    /// A caller with the master key.
    pub(crate) fn admin(&self) -> Caller {
        self.anonymous().with("x-litellm-api-key", &format!("Bearer {MASTER_KEY}"))
    }

    /// Stops the gateway and waits until everything it started has ended.
    pub(crate) async fn stop(self) {
        soon("stopping the gateway", self.running.stop()).await;
    }

    /// Puts another configuration in place of the current one.
    pub(crate) fn reload(&self, config: &Config) {
        self.running.gateway().reload(settings(config));
    }
}

fn a_free_port() -> Bind {
    Bind { host: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 0, metrics_port: None }
}

fn settings(config: &Config) -> Settings {
    let environment: Environment = config.environment().into_iter().collect();
    let loaded = toolgate::config::parse(&config.yaml(), "config.yaml", &environment);
    match loaded.settings {
        Some(settings) => settings,
        None => panic!("{}", loaded.render(Paint::Plain)),
    }
}
