//! Starting measured programs: on a given core, and ending with the report that started them.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::Context;
use rustix::process::{Resource, Rlimit, Signal};
use rustix::thread::CpuSet;

/// `launch`: sets what must be set in the child itself, then becomes the program.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The core to run on; absent: any.
    #[arg(long)]
    core: Option<usize>,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

/// Becomes the program; returns only why that failed.
pub(crate) fn exec(options: &Options) -> anyhow::Error {
    match prepare(options) {
        Ok(()) => {
            let error = Command::new(&options.command[0]).args(&options.command[1..]).exec();
            anyhow::Error::new(error).context(format!("cannot run `{}`", options.command[0]))
        }
        Err(error) => error,
    }
}

fn prepare(options: &Options) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::TERM)).context("cannot tie a child to its parent")?;
    raise_open_files();
    let Some(core) = options.core else { return Ok(()) };
    let mut cores = CpuSet::new();
    cores.set(core);
    rustix::thread::sched_setaffinity(None, &cores).with_context(|| format!("cannot run on core {core}"))
}

/// A command that runs `program` on `core` through [`exec`].
pub(crate) fn command(program: &str, core: Option<usize>) -> anyhow::Result<Command> {
    let own = std::env::current_exe().context("cannot find this program's own file")?;
    let mut command = Command::new(own);
    command.arg("launch");
    if let Some(core) = core {
        command.arg("--core").arg(core.to_string());
    }
    command.arg("--").arg(program);
    Ok(command)
}

/// The cores that this process may use.
pub(crate) fn usable_cores() -> anyhow::Result<Vec<usize>> {
    let cores = rustix::thread::sched_getaffinity(None).context("cannot read which cores may be used")?;
    Ok((0..CpuSet::MAX_CPU).filter(|core| cores.is_set(*core)).collect())
}

/// Allows this process and its children as many open files as the system lets it have.
pub(crate) fn raise_open_files() {
    const WANTED: u64 = 65_536;
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let hard = limit.maximum.unwrap_or(u64::MAX);
    let beyond = Rlimit { current: Some(WANTED.max(hard)), maximum: Some(WANTED.max(hard)) };
    let within = Rlimit { current: Some(hard), maximum: Some(hard) };
    // Only root may pass the hard limit. If neither is allowed the old limit stays, and running into it is an error
    // that names itself.
    if hard >= WANTED || rustix::process::setrlimit(Resource::Nofile, beyond).is_err() {
        let _ = rustix::process::setrlimit(Resource::Nofile, within);
    }
}
