//! Where replicas count together, from LiteLLM's three places for it: `cache_params`, `router_settings`, and
//! `general_settings`; what they leave out is taken from `REDIS_*`.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::super::environment::Environment;
use super::super::file::litellm::{CacheParams, LitellmSection, NumberOrText, RedisSection};
use super::super::report::{At, Report};
use super::super::settings::RedisSettings;

const PORT: u16 = 6379;

/// The Redis, if one of the sections says that there is one. Variables alone switch nothing on, as in LiteLLM: they may
/// be another program's.
pub(super) fn check(
    litellm: (&LitellmSection, &At<'_>),
    sections: [(&RedisSection, At<'_>); 2],
    environment: &Environment,
    report: &mut Report,
) -> Option<RedisSettings> {
    let (litellm, at) = litellm;
    let own = CacheParams::default();
    let params = litellm.cache_params.as_ref().unwrap_or(&own);
    let says_nothing = litellm.cache_params.is_none()
        && !["REDIS_URL", "REDIS_HOST"].iter().any(|name| environment.get(name).is_some());
    let is_cache =
        !says_nothing && litellm.cache == Some(true) && params.kind.as_deref().is_none_or(|kind| kind == "redis");
    let given = if is_cache {
        Given::of_cache(params, at.key("cache_params"))
    } else {
        let (section, at) = sections.into_iter().find(|(section, _)| section.says_where())?;
        Given::of_section(section, at)
    };
    given.settle(environment, report)
}

/// What one section says.
struct Given<'a> {
    at: At<'a>,
    url: (&'static str, Option<SecretString>),
    host: Option<String>,
    port: (&'static str, Option<NumberOrText>),
    username: Option<String>,
    password: Option<SecretString>,
    tls: Option<bool>,
    db: Option<NumberOrText>,
    namespace: Option<String>,
}

impl<'a> Given<'a> {
    fn of_cache(params: &CacheParams, at: At<'a>) -> Self {
        Self {
            at,
            url: ("url", params.url.clone()),
            host: params.host.clone(),
            port: ("port", params.port.clone()),
            username: params.username.clone(),
            password: params.password.clone(),
            tls: params.ssl,
            db: params.db.clone(),
            namespace: params.namespace.clone(),
        }
    }

    fn of_section(section: &RedisSection, at: At<'a>) -> Self {
        Self {
            at,
            url: ("redis_url", section.redis_url.clone()),
            host: section.redis_host.clone(),
            port: ("redis_port", section.redis_port.clone()),
            username: None,
            password: section.redis_password.clone(),
            tls: section.redis_ssl,
            db: section.redis_db.clone(),
            namespace: None,
        }
    }

    fn settle(self, environment: &Environment, report: &mut Report) -> Option<RedisSettings> {
        let variable = |name: &str| environment.get(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let namespace = self.namespace.clone().filter(|name| !name.is_empty()).or_else(|| variable("REDIS_NAMESPACE"));
        let said = self.url.1.clone().map(|url| (url, self.at.key(self.url.0)));
        // A host that is written down goes before a URL that happens to be in the environment.
        let elsewhere = || Some((SecretString::from(variable("REDIS_URL")?), At::variable("REDIS_URL")));
        if let Some((url, at)) = said.or_else(|| self.host.is_none().then(elsewhere).flatten()) {
            return self.of_url(url.expose_secret(), &at, namespace, report);
        }
        let Some(host) = self.host.clone().or_else(|| variable("REDIS_HOST")) else {
            report
                .error("config.no_redis_host", &self.at, "it is not said where Redis is")
                .help("set `host` or `url` here, or REDIS_HOST or REDIS_URL");
            return None;
        };
        let ssl = || environment.get("REDIS_SSL").map(|_| environment.is_on("REDIS_SSL"));
        Some(RedisSettings {
            host,
            port: self.port(variable("REDIS_PORT"), report),
            tls: self.tls.or_else(ssl).unwrap_or(false),
            username: self.username.clone().or_else(|| variable("REDIS_USERNAME")),
            password: self.password.clone().or_else(|| variable("REDIS_PASSWORD").map(SecretString::from)),
            db: self.db(report),
            namespace,
        })
    }

    fn of_url(&self, text: &str, at: &At<'_>, namespace: Option<String>, report: &mut Report) -> Option<RedisSettings> {
        let url = Url::parse(text).ok();
        let tls = url.as_ref().and_then(|url| match url.scheme() {
            "redis" | "valkey" => Some(false),
            "rediss" | "valkeys" => Some(true),
            _ => None,
        });
        let db = url.as_ref().map(|url| url.path().trim_matches('/')).map_or(Ok(0), |db| match db {
            "" => Ok(0),
            number => number.parse::<u32>().map(i64::from),
        });
        let (Some(url), Some(tls), Ok(db)) = (url, tls, db) else {
            report
                .error("config.bad_redis_url", at, "this is no address of a Redis")
                .help("write `redis://:password@host:6379/0`, or `rediss://` for TLS");
            return None;
        };
        let decoded = |text: &str| {
            let text = format!("x={}", text.replace('+', "%2B"));
            url::form_urlencoded::parse(text.as_bytes()).next().map(|(_, text)| text.into_owned())
        };
        Some(RedisSettings {
            host: url.host_str().unwrap_or("127.0.0.1").trim_matches(['[', ']']).to_owned(),
            port: url.port().unwrap_or(PORT),
            tls,
            username: decoded(url.username()).filter(|name| !name.is_empty()),
            password: url.password().and_then(decoded).map(SecretString::from),
            db,
            namespace,
        })
    }

    /// A port; Kubernetes sets `REDIS_PORT` to `tcp://10.0.0.1:6379` beside a service of that name.
    fn port(&self, variable: Option<String>, report: &mut Report) -> u16 {
        let (name, given) = &self.port;
        let (text, at) = match (given, variable) {
            (Some(port), _) => (port.text(), self.at.key(name)),
            (None, Some(port)) => (port.rsplit(':').next().unwrap_or_default().to_owned(), At::variable("REDIS_PORT")),
            (None, None) => return PORT,
        };
        text.parse().unwrap_or_else(|_| {
            let _ = report.error("config.bad_port", &at, format!("`{text}` is not a port"));
            PORT
        })
    }

    fn db(&self, report: &mut Report) -> i64 {
        let Some(db) = &self.db else { return 0 };
        db.text().parse::<u32>().map(i64::from).unwrap_or_else(|_| {
            let _ = report.error("config.bad_redis_db", &self.at, format!("`{}` is not a number", db.text()));
            0
        })
    }
}
