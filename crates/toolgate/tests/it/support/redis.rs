//! A Redis or Valkey of the test's own, with a password, on a port that was free.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use super::soon;

/// The servers that may be installed; both speak the same.
const PROGRAMS: [&str; 2] = ["valkey-server", "redis-server"];

/// Its password.
pub(crate) const PASSWORD: &str = "canary-of-redis-51b7";

/// A running server; it is killed when this is dropped.
pub(crate) struct Redis {
    process: std::process::Child,
    program: &'static str,
    pub(crate) port: u16,
}

impl Redis {
    /// Starts one. `None`, and a printed line, where none is installed.
    #[expect(clippy::print_stdout, reason = "what was not tested is said")]
    pub(crate) async fn start() -> Option<Self> {
        let is_there = |program: &&str| Command::new(program).arg("--version").stdout(Stdio::null()).status().is_ok();
        let Some(program) = PROGRAMS.into_iter().find(is_there) else {
            println!("skipped: neither Valkey nor Redis is installed");
            return None;
        };
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let redis = Self { process: run(program, port), program, port };
        redis.is_listening().await;
        Some(redis)
    }

    /// Ends it at once, with all that it holds.
    pub(crate) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts it again, with nothing in it.
    pub(crate) async fn start_again(&mut self) {
        self.process = run(self.program, self.port);
        self.is_listening().await;
    }

    async fn is_listening(&self) {
        soon("Redis listening", async {
            while tokio::net::TcpStream::connect(("127.0.0.1", self.port)).await.is_err() {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await;
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have been killed already.
        let _already_gone = self.process.kill();
        let _ = self.process.wait();
    }
}

fn run(program: &str, port: u16) -> std::process::Child {
    let port = port.to_string();
    let settings =
        ["--port", &port, "--bind", "127.0.0.1", "--requirepass", PASSWORD, "--save", "", "--appendonly", "no"];
    let mut command = Command::new(program);
    command.args(settings).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}
