//! stdio servers: the command, and the environment of the child.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};

use super::super::environment::Environment;
use super::super::file::ServerEntry;
use super::super::file::server::IsolationName;
use super::super::report::{At, Report};
use super::super::settings::{EnvValue, Isolation, StdioCommand};
use super::Common;
use super::variables::{Filled, Variables};

/// What every child gets from the gateway's own environment. Nothing else is inherited, least of all secrets.
const BASE: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "TERM",
    "TMPDIR",
    "TMP",
    "TEMP",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "PNPM_HOME",
];

/// Variables that make a program load code or talk elsewhere; `*` stands for any ending or beginning.
const SENSITIVE: [&str; 30] = [
    "LD_*",
    "DYLD_*",
    "PATH",
    "IFS",
    "BASH_ENV",
    "ENV",
    "SHELLOPTS",
    "PYTHON*",
    "NODE_OPTIONS",
    "NODE_PATH",
    "NODE_EXTRA_CA_CERTS",
    "PERL5*",
    "RUBY*",
    "JAVA_TOOL_OPTIONS",
    "_JAVA_OPTIONS",
    "GIT_*",
    "SSH_*",
    "NPM_CONFIG_*",
    "UV_*",
    "PIP_*",
    "*_PROXY",
    "SSL_CERT_*",
    "GCONV_PATH",
    "LOCPATH",
    "HOSTALIASES",
    "RES_OPTIONS",
    "MALLOC_*",
    "GLIBC_TUNABLES",
    "HOME",
    "SHELL",
];

/// Checks a stdio entry. `None` when there is no command to start.
pub(super) fn check(
    entry: &ServerEntry,
    variables: &Variables<'_>,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> Option<StdioCommand> {
    let env = environment(entry, variables, at, common, report);
    let Some(command) = entry.command.as_deref().filter(|command| !command.trim().is_empty()) else {
        report
            .error("config.missing_key", &at.key("command"), "a stdio server needs `command`")
            .help("for example `command: npx` with `args: [-y, \"@modelcontextprotocol/server-everything\"]`");
        return None;
    };
    let command = resolve(command, &at.key("command"), common.environment, report);
    let isolation = match entry.isolation {
        None => Isolation::Auto,
        Some(IsolationName::Shared) => Isolation::Shared,
        Some(IsolationName::Session) => Isolation::Session,
        Some(IsolationName::User) => Isolation::User,
    };
    Some(StdioCommand { command, args: entry.args.clone().unwrap_or_default(), env, isolation })
}

/// Finds the program. One that is missing is a warning only: it may be installed before the first call.
fn resolve(command: &str, at: &At<'_>, environment: &Environment, report: &mut Report) -> String {
    let found =
        if command.contains('/') { is_program(Path::new(command)) } else { program(command, environment).is_some() };
    if found {
        return command.to_owned();
    }
    if command == "toolgate"
        && let Some(own) = environment.executable().filter(|own| own.file_stem().is_some_and(|stem| stem == "toolgate"))
    {
        return own.to_string_lossy().into_owned();
    }
    let finding = report.warning("config.command_not_found", at, format!("the program `{command}` is not there"));
    if command.trim().contains(' ') {
        finding.help("`command` is the program alone; its arguments belong into `args`");
    } else if command.contains('/') {
        finding.help("check the path, and that the file may be executed");
    } else {
        finding.help(format!("install {command}, or give its whole path"));
    }
    command.to_owned()
}

/// The program that `command` names, as the gateway's own search path has it.
fn program(command: &str, environment: &Environment) -> Option<PathBuf> {
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| path.is_absolute() && is_program(path));
    }
    let path = environment.get("PATH").unwrap_or_default();
    std::env::split_paths(path).map(|directory| directory.join(command)).find(|path| is_program(path))
}

/// Programs that servers of the database may be, by name, as in LiteLLM.
const ALLOWED: [&str; 7] = ["npx", "uvx", "python", "python3", "node", "docker", "deno"];

/// Variables with which an allowed program would be another one.
const NOT_STORED: [&str; 7] = ["LD_*", "DYLD_*", "PATH", "IFS", "BASH_ENV", "ENV", "SHELLOPTS"];

/// What holds beside the usual rules for a server on stdio that was made through the API: whoever makes one starts
/// programs on this machine. Its command becomes the whole path of the program, so that nothing can put another one in
/// its place.
pub(super) fn check_stored(
    command: &mut StdioCommand,
    entry: &ServerEntry,
    at: &At<'_>,
    environment: &Environment,
    report: &mut Report,
) {
    if !environment.is_on("LITELLM_ENABLE_MCP_STDIO") {
        report
            .error("config.stdio_disabled", &at.key("transport"), "servers on stdio cannot be made through the API")
            .help(
                "declare it under `mcp_servers` in the configuration file, or start the gateway with \
                 LITELLM_ENABLE_MCP_STDIO=true",
            );
        return;
    }
    for name in entry.env.iter().flatten().map(|(name, _)| name) {
        if matches_any(name, &NOT_STORED) {
            report
                .error(
                    "config.variable_not_stored",
                    &at.key("env").key(name),
                    format!("`{name}` could put another program in the place of the allowed one"),
                )
                .help("remove it, or declare the server in the configuration file");
        }
    }
    match allowed(&command.command, environment) {
        Some(program) => command.command = program,
        None => report
            .error(
                "config.command_not_allowed",
                &at.key("command"),
                format!("`{}` is not a program that servers of the database may be", command.command),
            )
            .help(format!(
                "allowed are {} where the search path has them; LITELLM_MCP_STDIO_EXTRA_COMMANDS adds others, or declare \
                 the server in the configuration file",
                ALLOWED.join(", ")
            )),
    }
}

/// The path to start `command` by, if it is one of the allowed programs: it is the file that counts, not its name.
fn allowed(command: &str, environment: &Environment) -> Option<String> {
    let found = program(command, environment)?;
    let file = std::fs::canonicalize(&found).ok()?;
    let extra = environment.get("LITELLM_MCP_STDIO_EXTRA_COMMANDS").unwrap_or_default();
    let extra = extra.split(',').map(str::trim).filter(|name| !name.is_empty());
    let mut names = ALLOWED.into_iter().chain(extra);
    let is_it = |name: &str| {
        let known = program(name, environment).and_then(|path| std::fs::canonicalize(path).ok());
        known.is_some_and(|known| known == file)
    };
    names.any(is_it).then(|| found.to_string_lossy().into_owned())
}

fn is_program(path: &Path) -> bool {
    let Ok(metadata) = std::fs::metadata(path) else { return false };
    #[cfg(unix)]
    let executable = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let executable = true;
    metadata.is_file() && executable
}

fn environment(
    entry: &ServerEntry,
    known: &Variables<'_>,
    at: &At<'_>,
    common: &Common<'_>,
    report: &mut Report,
) -> BTreeMap<String, EnvValue> {
    let mut variables = base(common.environment);
    let at = at.key("env");
    for (name, value) in entry.env.iter().flatten() {
        let at = at.key(name);
        if name.is_empty() || name.contains(['=', '\0']) || value.expose_secret().contains('\0') {
            let _ = report.error("config.bad_variable_name", &at, "not a name or value that a process can be given");
            continue;
        }
        if value.expose_secret().contains(common.master_key.expose_secret()) {
            report
                .error("config.master_key_leaves", &at, "the value contains the gateway's master key")
                .help("the master key is for this gateway alone; give the server a key of its own");
            continue;
        }
        if let Some(value) = value_of(name, value, known, &at, report) {
            variables.insert(name.clone(), value);
        }
    }
    variables
}

fn base(environment: &Environment) -> BTreeMap<String, EnvValue> {
    let fixed = |name: &str, value: &str| (name.to_owned(), EnvValue::Fixed(value.into()));
    let mut base: BTreeMap<String, EnvValue> = environment
        .iter()
        .filter(|(name, _)| BASE.contains(name) || name.starts_with("XDG_"))
        .map(|(name, value)| fixed(name, value))
        .collect();
    // npx needs a place to write; containers often have no home.
    let cache = environment.get("MCP_NPM_CACHE_DIR").or_else(|| environment.get("NPM_CONFIG_CACHE"));
    if let Some(cache) = cache.or_else(|| environment.get("HOME").is_none().then_some("/tmp/.npm_mcp_cache")) {
        base.extend([fixed("NPM_CONFIG_CACHE", cache)]);
    }
    base
}

fn value_of(
    name: &str,
    value: &SecretString,
    known: &Variables<'_>,
    at: &At<'_>,
    report: &mut Report,
) -> Option<EnvValue> {
    let text = value.expose_secret();
    if names_one(text, known) {
        return own_value(name, known.fill(text, at, report), at, report);
    }
    let Some(reference) = text.trim().strip_prefix("${").and_then(|rest| rest.strip_suffix('}')) else {
        if text.contains("${X-") {
            report
                .warning(
                    "config.partial_reference",
                    at,
                    "a header's value can only be the whole value; this is passed as written",
                )
                .help("write `${X-HEADER}` alone and let the client send the rest");
        }
        note_sensitive(name, at, report);
        return Some(EnvValue::Fixed(value.clone()));
    };
    let (header, default) = match reference.split_once(":-") {
        Some((header, default)) => (header, Some(SecretString::from(default))),
        None => (reference, None),
    };
    if !header.get(..2).is_some_and(|start| start.eq_ignore_ascii_case("x-")) {
        report
            .warning("config.not_a_reference", at, format!("`${{{header}}}` is not filled in; it is passed as written"))
            .help(format!(
                "for a variable of the gateway write os.environ/{header}, for a header of the caller ${{X-NAME}}"
            ));
        return Some(EnvValue::Fixed(value.clone()));
    }
    header_value(name, header, default, at, report)
}

/// Whether `text` has `${NAME}` in it for one of `env_vars`.
fn names_one(text: &str, known: &Variables<'_>) -> bool {
    text.split("${").skip(1).any(|rest| rest.split_once('}').is_some_and(|(name, _)| known.is_defined(name)))
}

fn own_value(name: &str, filled: Filled, at: &At<'_>, report: &mut Report) -> Option<EnvValue> {
    match filled {
        Filled::Fixed(value) => {
            note_sensitive(name, at, report);
            Some(EnvValue::Fixed(value.into()))
        }
        Filled::Own(_) if is_sensitive(name) => {
            report
                .error(
                    "config.variable_not_for_callers",
                    at,
                    format!("`{name}` changes what the program runs; users may not set it"),
                )
                .help("give it a fixed value, or remove it");
            None
        }
        Filled::Own(template) => Some(EnvValue::Own(template)),
    }
}

fn header_value(
    name: &str,
    header: &str,
    default: Option<SecretString>,
    at: &At<'_>,
    report: &mut Report,
) -> Option<EnvValue> {
    if is_sensitive(name) {
        report
            .error(
                "config.variable_not_for_callers",
                at,
                format!("`{name}` changes what the program runs; callers may not set it"),
            )
            .help("give it a fixed value, or remove it");
        return None;
    }
    let Ok(header_name) = header.parse::<HeaderName>() else {
        let _ = report.error("config.not_a_header", at, format!("`{header}` is not a header name"));
        return None;
    };
    if matches!(header_name.as_str(), "x-litellm-api-key" | "x-api-key") {
        report
            .error(
                "config.forbidden_header",
                at,
                format!("`{header_name}` may carry a key of this gateway, which never leaves it"),
            )
            .help("have callers send the credential in a header of its own, such as `X-GITHUB-TOKEN`");
        return None;
    }
    Some(EnvValue::Header { name: header_name, default })
}

fn note_sensitive(name: &str, at: &At<'_>, report: &mut Report) {
    if is_sensitive(name) {
        let _ =
            report.note("config.sensitive_variable", at, format!("`{name}` changes what the program runs or reaches"));
    }
}

fn is_sensitive(name: &str) -> bool {
    matches_any(name, &SENSITIVE)
}

fn matches_any(name: &str, patterns: &[&str]) -> bool {
    let name = name.to_ascii_uppercase();
    patterns.iter().any(|pattern| {
        if let Some(start) = pattern.strip_suffix('*') {
            name.starts_with(start)
        } else if let Some(end) = pattern.strip_prefix('*') {
            name.ends_with(end)
        } else {
            name == *pattern
        }
    })
}
