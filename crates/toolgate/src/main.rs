//! The `toolgate` binary: see [`toolgate::cli`].

use std::process::ExitCode;

/// Builds fast, and holds less memory than the system's under many small allocations from several threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    toolgate::cli::run(std::env::args_os().collect(), toolgate::lifecycle::serve)
}
