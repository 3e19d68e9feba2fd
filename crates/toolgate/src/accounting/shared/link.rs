//! One connection to Redis or Valkey, and what is said on it.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, IntoConnectionInfo as _, Pipeline, RedisConnectionInfo, Value,
};
use secrecy::ExposeSecret as _;

use super::{Given, Message, Over, Part, Spent, UsedUp};
use crate::accounting::account::Account;
use crate::accounting::ledger::Ledger;
use crate::config::settings::RedisSettings;

/// How long an answer may take. Callers wait for it, so it is short; what takes longer is no help to them.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// For how many seconds a replica is taken to be alive that was not heard of.
pub(super) const ALIVE_S: u32 = 6;

/// For how many seconds the counts of somebody are kept whom nobody asks about.
const KEEP_S: u32 = 86_400;

/// Commands that are sent together when all is said.
const PIPE: usize = 1_000;

const TAKE: &str = include_str!("take.lua");
const GIVE: &str = include_str!("give.lua");
const ALIVE: &str = include_str!("alive.lua");

/// Why a connection cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("Redis said no, or nothing in time")]
    Redis(#[from] redis::RedisError),
    #[error("Redis gave an answer of another kind than the script has")]
    Answer,
    #[error("this replica was not heard of for too long, and others have taken off what it held")]
    Forgotten,
    #[error("more was given back than the queue holds")]
    Behind,
}

/// A connection, and this replica's name on it.
pub(super) struct Link {
    connection: MultiplexedConnection,
    names: Names,
    scripts: Scripts,
}

/// What things are called there.
struct Names {
    prefix: String,
    replicas: String,
    replica: String,
}

/// By the hashes under which the server has them.
struct Scripts {
    take: String,
    give: String,
    alive: String,
}

impl Link {
    /// Connects, and says that this replica is there.
    pub(super) async fn connect(settings: &RedisSettings) -> Result<Self, Error> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(ANSWER_TIMEOUT));
        let client = Client::open(settings.address()?)?;
        let mut connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        let mut load = redis::pipe();
        for script in [TAKE, GIVE, ALIVE] {
            load.cmd("SCRIPT").arg("LOAD").arg(script);
        }
        let (take, give, alive) = load.query_async(&mut connection).await?;
        let mut link = Self { connection, names: Names::new(settings), scripts: Scripts { take, give, alive } };
        link.alive().await?;
        Ok(link)
    }

    /// # Errors
    /// [`Error::Forgotten`] when others may have taken off what this replica held.
    pub(super) async fn say_alive(&mut self) -> Result<(), Error> {
        if self.alive().await? { Ok(()) } else { Err(Error::Forgotten) }
    }

    async fn alive(&mut self) -> Result<bool, Error> {
        let mut alive = redis::cmd("EVALSHA");
        alive.arg(&self.scripts.alive).arg(1).arg(&self.names.replicas).arg(&self.names.replica).arg(ALIVE_S);
        Ok(alive.query_async::<i64>(&mut self.connection).await? == 1)
    }

    /// What this replica holds, whatever the server had of it; and what the database has of what was spent.
    pub(super) async fn say_all(&mut self, ledger: &Ledger) -> Result<(), Error> {
        let mut pipe = redis::pipe();
        for account in ledger.all() {
            let held = account.held();
            let key = self.names.of(&account);
            if held.pending > 0.0 {
                pipe.hset(&key, format!("p/{}", self.names.replica), held.pending).ignore();
            }
            if held.running > 0 {
                pipe.hset(&key, format!("n/{}", self.names.replica), held.running).ignore();
            }
            pipe.expire(&key, i64::from(KEEP_S)).ignore();
            let spent = account.take_news().unwrap_or(Spent { amount: held.known, anew: false });
            self.give(&mut pipe, &[Given { spent: Some(spent), ..Given::nothing(account) }]);
            if pipe.len() >= PIPE {
                std::mem::take(&mut pipe).query_async::<()>(&mut self.connection).await?;
            }
        }
        if !pipe.is_empty() {
            pipe.query_async::<()>(&mut self.connection).await?;
        }
        Ok(())
    }

    /// Sends messages, and gives for each wish to take what is used up, if anything is.
    pub(super) async fn send(&mut self, messages: &[Message]) -> Result<Vec<Option<Over>>, Error> {
        let mut pipe = redis::pipe();
        for message in messages {
            match message {
                Message::Take { price, parts, .. } => self.take(&mut pipe, *price, parts),
                Message::Give(given) => self.give(&mut pipe, given),
            }
        }
        let answers: Vec<Value> = pipe.query_async(&mut self.connection).await?;
        answers.into_iter().map(over).collect()
    }

    fn take(&self, pipe: &mut Pipeline, price: f64, parts: &[Part]) {
        let call = pipe.cmd("EVALSHA").arg(&self.scripts.take).arg(parts.len() + 1).arg(&self.names.replicas);
        for part in parts {
            call.arg(self.names.of(&part.account));
        }
        call.arg(&self.names.replica).arg(price).arg(KEEP_S);
        for part in parts {
            optional(call, part.budget);
            call.arg(part.known);
            optional(call, part.parallel);
            optional(call, part.rpm);
            call.arg(part.server.as_ref().map_or("", |(server, _)| server));
            optional(call, part.server.as_ref().map(|(_, rpm)| *rpm));
        }
    }

    fn give(&self, pipe: &mut Pipeline, given: &[Given]) {
        let call = pipe.cmd("EVALSHA").arg(&self.scripts.give).arg(given.len());
        for given in given {
            call.arg(self.names.of(&given.account));
        }
        call.arg(&self.names.replica);
        for given in given {
            call.arg(given.money).arg(given.ended);
            optional(call, given.spent.map(|spent| spent.amount));
            call.arg(u8::from(given.spent.is_some_and(|spent| spent.anew)));
        }
        // Only answers to wishes are looked at.
        pipe.ignore();
    }

    /// Goes, so that nobody waits until it is not heard of any more.
    pub(super) async fn leave(&mut self) {
        let mut leave = redis::cmd("ZREM");
        leave.arg(&self.names.replicas).arg(&self.names.replica);
        // Then it is forgotten a few seconds later.
        let _ = leave.query_async::<()>(&mut self.connection).await;
    }
}

impl Names {
    fn new(settings: &RedisSettings) -> Self {
        let prefix = match &settings.namespace {
            Some(namespace) => format!("{namespace}:toolgate:limits:"),
            None => "toolgate:limits:".to_owned(),
        };
        let replica = format!("{:032x}", uuid::Uuid::new_v4().as_u128());
        Self { replicas: format!("{prefix}replicas"), prefix, replica }
    }

    /// Two ids never make one name: NUL is in none.
    fn of(&self, account: &Account) -> String {
        format!("{}{}:{}", self.prefix, super::super::payers::Noun(account.kind).word(), account.id.join("\0"))
    }
}

fn optional(call: &mut Pipeline, value: Option<impl redis::ToRedisArgs>) {
    match value {
        Some(value) => call.arg(value),
        None => call.arg(""),
    };
}

/// `{0}`, or which part is used up, by what, and a number.
fn over(answer: Value) -> Result<Option<Over>, Error> {
    let Value::Array(answer) = answer else { return Err(Error::Answer) };
    let text = |at: usize| match answer.get(at) {
        Some(Value::BulkString(text)) => std::str::from_utf8(text).map_err(|_| Error::Answer),
        _ => Err(Error::Answer),
    };
    let part = match answer.first() {
        Some(Value::Int(0)) => return Ok(None),
        Some(Value::Int(part)) => usize::try_from(*part - 1).map_err(|_| Error::Answer)?,
        _ => return Err(Error::Answer),
    };
    let seconds = || Ok::<_, Error>(Duration::from_secs(text(2)?.parse().map_err(|_| Error::Answer)?));
    let what = match text(1)? {
        "budget" => UsedUp::Budget { current_cost: text(2)?.parse().map_err(|_| Error::Answer)? },
        "parallel" => UsedUp::Parallel,
        "requests" => UsedUp::Requests { retry_after: seconds()? },
        "server" => UsedUp::Server { retry_after: seconds()? },
        _ => return Err(Error::Answer),
    };
    Ok(Some(Over { part, what }))
}

impl RedisSettings {
    fn address(&self) -> Result<redis::ConnectionInfo, redis::RedisError> {
        let (host, port) = (self.host.clone(), self.port);
        let address = if self.tls {
            ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host, port)
        };
        let mut login = RedisConnectionInfo::default().set_db(self.db).set_skip_set_lib_name();
        if let Some(username) = &self.username {
            login = login.set_username(username);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password.expose_secret());
        }
        Ok(address.into_connection_info()?.set_redis_settings(login))
    }
}
