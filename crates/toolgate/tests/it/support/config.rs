//! Configurations as a user writes them: YAML, made from the lines that matter to a test.

use super::gateway::MASTER_KEY;

/// A configuration with [`MASTER_KEY`] and no servers.
pub(crate) fn config() -> Config {
    Config {
        master_key: MASTER_KEY,
        servers: Vec::new(),
        general: Vec::new(),
        litellm: Vec::new(),
        environment: Vec::new(),
    }
}

/// The file and the environment that a gateway is started with.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    master_key: &'static str,
    servers: Vec<(String, Entry)>,
    general: Vec<String>,
    litellm: Vec<String>,
    environment: Vec<(String, String)>,
}

impl Config {
    /// Adds an entry to `mcp_servers`.
    pub(crate) fn server(mut self, name: &str, entry: Entry) -> Self {
        self.servers.push((name.to_owned(), entry));
        self
    }

    /// Has another master key; [`TestGateway::admin`](super::TestGateway::admin) goes on using [`MASTER_KEY`].
    pub(crate) fn master_key(mut self, key: &'static str) -> Self {
        self.master_key = key;
        self
    }

    /// Adds a line to `general_settings`.
    pub(crate) fn general(mut self, line: &str) -> Self {
        self.general.push(line.to_owned());
        self
    }

    /// Adds a line to `litellm_settings`.
    pub(crate) fn litellm(mut self, line: &str) -> Self {
        self.litellm.push(line.to_owned());
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The text of `config.yaml`.
    pub(crate) fn yaml(&self) -> String {
        let mut text = format!("general_settings:\n  master_key: {}\n", self.master_key);
        for line in &self.general {
            text.push_str(&format!("  {line}\n"));
        }
        if !self.litellm.is_empty() {
            text.push_str("litellm_settings:\n");
        }
        for line in &self.litellm {
            text.push_str(&format!("  {line}\n"));
        }
        text.push_str("mcp_servers:");
        text.push_str(if self.servers.is_empty() { " {}\n" } else { "\n" });
        for (name, entry) in &self.servers {
            text.push_str(&format!("  {name}:\n"));
            for line in &entry.lines {
                text.push_str(&format!("    {line}\n"));
            }
        }
        text
    }

    /// The environment: what the test set, and the search path, which servers on stdio need.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        let inherited =
            ["PATH", "HOME"].into_iter().filter_map(|name| Some((name.to_owned(), std::env::var(name).ok()?)));
        inherited.chain(self.environment.iter().cloned()).collect()
    }
}

/// One entry of `mcp_servers`: its YAML lines, without indentation.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    lines: Vec<String>,
}

impl Entry {
    /// A server over Streamable HTTP.
    pub(crate) fn http(url: &str) -> Self {
        Self { lines: vec![format!("url: {url}"), "transport: http".to_owned()] }
    }

    /// A server over HTTP+SSE.
    pub(crate) fn sse(url: &str) -> Self {
        Self { lines: vec![format!("url: {url}"), "transport: sse".to_owned()] }
    }

    /// A server whose HTTP transport the gateway has to find out.
    pub(crate) fn detected(url: &str) -> Self {
        Self { lines: vec![format!("url: {url}")] }
    }

    /// A child process.
    pub(crate) fn stdio(command: &str, args: &[&str]) -> Self {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        let args: Vec<String> = args.iter().map(|arg| quoted(arg)).collect();
        Self {
            lines: vec![
                "transport: stdio".to_owned(),
                format!("command: {}", quoted(command)),
                format!("args: [{}]", args.join(", ")),
            ],
        }
    }

    /// A shell script as a server.
    pub(crate) fn shell(script: &str) -> Self {
        Self::stdio("sh", &["-c", script])
    }

    /// Adds a line.
    pub(crate) fn with(mut self, line: &str) -> Self {
        self.lines.push(line.to_owned());
        self
    }
}
