//! From a [`StdioTarget`] to a command that can be spawned.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::Command;

use crate::error::Problem;
use crate::target::StdioTarget;

/// Where commands are looked for when the child's environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The command, with pipes, its own process group, and nothing of our environment.
pub(super) fn prepare(target: &StdioTarget) -> Result<Command, Problem> {
    let program = resolve(target)?;
    let mut command = Command::new(program);
    command
        .args(&target.args)
        .env_clear()
        .envs(target.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    if let Some(cwd) = &target.cwd {
        if !cwd.is_dir() {
            return Err(Problem::InvalidTarget(format!("the working directory `{}` is not there", cwd.display())));
        }
        command.current_dir(cwd);
    }
    super::parent::tie(&mut command);
    Ok(command)
}

/// The file to run: the search is ours, since the system would search our `PATH` and not the child's.
fn resolve(target: &StdioTarget) -> Result<PathBuf, Problem> {
    let command = target.command.as_str();
    if command.is_empty() || command.contains('\0') {
        return Err(Problem::InvalidTarget("the command is empty or holds a NUL".to_owned()));
    }
    let base = target.cwd.as_deref().unwrap_or(Path::new(""));
    if command.contains('/') {
        let file = absolute(base.join(command));
        let searched = file.display().to_string();
        return if is_executable(&file) { Ok(file) } else { Err(Problem::CommandNotFound { searched }) };
    }
    let path = target.env.iter().rev().find(|(name, _)| name == "PATH").map(|(_, path)| path.as_str());
    let searched = path.filter(|path| !path.is_empty()).unwrap_or(DEFAULT_PATH);
    // An empty part means the working directory, which is nowhere to run things from by accident.
    let mut files =
        searched.split(':').filter(|part| !part.is_empty()).map(|part| absolute(base.join(part).join(command)));
    files
        .find(|file| is_executable(file))
        .ok_or_else(|| Problem::CommandNotFound { searched: format!("PATH={searched}") })
}

/// Relative paths would be taken from the child's directory, which the system looks at after changing to it.
fn absolute(path: PathBuf) -> PathBuf {
    std::path::absolute(&path).unwrap_or(path)
}

fn is_executable(file: &Path) -> bool {
    file.metadata().is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::resolve;
    use crate::error::Problem;
    use crate::target::StdioTarget;

    fn target(command: &str, path: Option<&str>) -> StdioTarget {
        let env = path.map(|path| ("PATH".to_owned(), path.to_owned())).into_iter().collect();
        StdioTarget { command: command.to_owned(), env, ..StdioTarget::default() }
    }

    #[test]
    fn a_command_is_looked_for_in_the_childs_path() {
        assert!(resolve(&target("sh", None)).expect("found").ends_with("sh"));
        assert!(resolve(&target("sh", Some("/nowhere:/bin"))).expect("found").ends_with("bin/sh"));
        assert!(resolve(&target("/bin/sh", Some("/nowhere"))).is_ok());
        for (command, path, told) in [
            ("sh", Some("/nowhere"), "PATH=/nowhere"),
            ("no-such-program", None, "PATH=/usr/local/sbin"),
            ("/etc/passwd", None, "/etc/passwd"),
            ("/nowhere/x", None, "/nowhere/x"),
        ] {
            match resolve(&target(command, path)) {
                Err(Problem::CommandNotFound { searched }) => assert!(searched.starts_with(told), "{searched}"),
                other => panic!("{command}: {other:?}"),
            }
        }
    }
}
