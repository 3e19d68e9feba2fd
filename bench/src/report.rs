//! The report: every scenario on every target, one after the other, and one table of it all.
//!
//! Targets take turns within a round, so that a noisy minute on a shared machine hits all of them, and ratios are
//! taken within a round.

use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, ensure};

use crate::launch;
use crate::report::cell::{Cell, Target};
use crate::report::machine::Machine;
use crate::report::scenario::{SCENARIOS, Scenario};

pub(crate) mod accounts;
mod cell;
mod describe;
mod goals;
mod machine;
mod medians;
mod scenario;
mod stage;
mod table;

/// `report`: which targets, and how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The gateway's binary. Absent: only direct and nginx are measured.
    #[arg(long)]
    toolgate: Option<PathBuf>,
    /// nginx; left out of the report, with a line that says so, when it cannot be run.
    #[arg(long, default_value = "nginx")]
    nginx: String,
    /// One round of a second per cell, fewer idle sessions: to see that all works, not to quote.
    #[arg(long)]
    quick: bool,
    /// Seconds per measurement; each load cell has two.
    #[arg(long)]
    seconds: Option<f64>,
    /// How often to go through all scenarios; the table shows medians.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: Option<u32>,
    /// Only scenarios whose name contains this; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// GitHub's description of its REST API; without it, its scenario is left out.
    #[arg(long)]
    description: Option<PathBuf>,
    /// Writes every single measurement to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// What every cell needs to know.
#[derive(Debug, Clone)]
struct Plan {
    measure: Duration,
    warmup: Duration,
    /// Idle sessions are divided by this.
    fewer: u32,
    /// Where the measured target runs, and where the load and the upstream run; absent on a machine with one core.
    cores: Option<(usize, usize)>,
    toolgate: Option<PathBuf>,
    nginx: Option<String>,
    /// GitHub's description of its REST API.
    description: Option<PathBuf>,
}

impl Plan {
    fn gateway_core(&self) -> Option<usize> {
        self.cores.map(|(gateway, _)| gateway)
    }

    fn load_core(&self) -> Option<usize> {
        self.cores.map(|(_, load)| load)
    }

    fn targets(&self) -> Vec<Target> {
        let present = |target: &Target| match target {
            Target::Direct => true,
            Target::Nginx => self.nginx.is_some(),
            Target::Toolgate => self.toolgate.is_some(),
        };
        Target::ALL.into_iter().filter(present).collect()
    }
}

/// Everything measured, as `--json` writes it.
#[derive(Debug, serde::Serialize)]
struct Report {
    machine: Machine,
    rounds: u32,
    seconds: f64,
    cells: Vec<Cell>,
}

/// Measures and prints. The exit code tells whether every answer of every cell was right.
///
/// # Errors
/// When nothing can be measured at all, or the results cannot be written. A cell that fails is reported in its place.
pub(crate) fn run(options: &Options) -> anyhow::Result<ExitCode> {
    launch::raise_open_files();
    let plan = plan(options)?;
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let chosen: Vec<&Scenario> = SCENARIOS.iter().filter(|scenario| is_wanted(scenario, options, &plan)).collect();
    ensure!(!chosen.is_empty(), "no scenario is called that");
    let mut report =
        Report { machine: Machine::look(&plan), rounds, seconds: plan.measure.as_secs_f64(), cells: Vec::new() };
    for round in 0..rounds {
        for scenario in &chosen {
            for target in plan.targets().into_iter().filter(|target| scenario.applies_to(*target)) {
                progress(&format!("round {} of {rounds}: {}, {}", round + 1, scenario.name, target.name()));
                report.cells.push(cell::measure(&plan, scenario, target, round));
            }
        }
    }
    report.machine.look_again();
    if let Some(path) = &options.json {
        let text = serde_json::to_vec_pretty(&report).context("the report cannot be written as JSON")?;
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    io::stdout().write_all(table::render(&report).as_bytes()).context("cannot write to stdout")?;
    let all_right = report.cells.iter().all(|cell| cell.failure.is_none());
    Ok(if all_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn plan(options: &Options) -> anyhow::Result<Plan> {
    let toolgate = match &options.toolgate {
        Some(path) => Some(path.canonicalize().with_context(|| format!("no gateway at {}", path.display()))?),
        None => {
            progress("toolgate is left out: no --toolgate PATH");
            None
        }
    };
    let nginx = stage::nginx_version(&options.nginx).is_some().then(|| options.nginx.clone());
    if nginx.is_none() {
        progress(&format!("nginx is left out: `{}` cannot be run; install it for the ratios", options.nginx));
    }
    let description = options.description.clone().filter(|path| path.exists());
    if description.is_none() {
        progress("GitHub's description is left out: no --description FILE");
    }
    let cores = match launch::usable_cores()?[..] {
        [gateway, load, ..] => Some((gateway, load)),
        _ => None,
    };
    let seconds = options.seconds.unwrap_or(if options.quick { 1.0 } else { 3.0 });
    let measure = Duration::try_from_secs_f64(seconds).context("--seconds is not a length of time")?;
    let fewer = if options.quick { 10 } else { 1 };
    Ok(Plan { measure, warmup: measure.mul_f64(0.3), fewer, cores, toolgate, nginx, description })
}

fn is_wanted(scenario: &Scenario, options: &Options, plan: &Plan) -> bool {
    let is_there = scenario.name != scenario::GITHUB || plan.description.is_some();
    is_there && (options.only.is_empty() || options.only.iter().any(|part| scenario.name.contains(part.as_str())))
}

/// Tells the person who waits; on stderr, so that the table can be piped away.
fn progress(line: &str) {
    // A report that nobody watches is still wanted.
    drop(writeln!(io::stderr(), "{line}"));
}
