//! Measures the gateway: a load generator, a fast upstream, and a report that compares direct, nginx and toolgate.
//!
//! `report` does everything and is what `make bench` runs; the other subcommands are its parts, and work alone.
//! See `bench/README.md` for what the numbers mean and how far they can be trusted.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

mod answer;
mod crowd;
mod histogram;
mod idle;
mod launch;
mod load;
mod pace;
mod process;
mod report;
mod session;
mod upstream;

#[derive(Debug, Parser)]
#[command(about = "Measures MCP gateways: direct, nginx, toolgate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serves prebuilt MCP answers over Streamable HTTP at the least cost.
    Upstream(upstream::Options),
    /// Calls one MCP endpoint from many sessions, checks every answer, and prints the timings as JSON.
    Load(load::Options),
    /// Opens many sessions and holds them, so that memory can be measured.
    Idle(idle::Options),
    /// Opens many streams, has the upstream tell news, and waits until all have heard.
    Streams(crowd::Options),
    /// Opens many sessions, has the upstream forget them, and lets all of them call at once.
    Storm(crowd::Options),
    /// Measures direct, nginx and toolgate, and prints one table.
    Report(report::Options),
    /// Measures what keys, teams and the log of calls cost, on SQLite and PostgreSQL.
    Accounts(report::accounts::Options),
    /// Runs a program on one core, so that it ends with its parent.
    #[command(hide = true)]
    Launch(launch::Options),
}

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            // Nothing is left to do when even stderr is closed.
            drop(writeln!(io::stderr(), "toolgate-bench: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Upstream(options) => runtime()?.block_on(upstream::serve(options)),
        Command::Load(options) => {
            let summary = runtime()?.block_on(load::run(&options))?;
            print_json(&summary)?;
            Ok(if summary.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Command::Idle(options) => runtime()?.block_on(idle::run(options)),
        Command::Streams(options) => runtime()?.block_on(crowd::streams(options)),
        Command::Storm(options) => runtime()?.block_on(crowd::storm(options)),
        Command::Report(options) => report::run(&options),
        Command::Accounts(options) => report::accounts::run(&options),
        Command::Launch(options) => Err(launch::exec(&options)),
    }
}

/// One thread: the load and the upstream share a core, and more threads would only take turns on it.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the async runtime")
}

/// Prints one line of JSON for the program that reads us.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer(&mut out, value).context("cannot write to stdout")?;
    out.write_all(b"\n").and_then(|()| out.flush()).context("cannot write to stdout")
}
