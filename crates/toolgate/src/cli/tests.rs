use clap::error::ErrorKind;

use super::*;

fn parsed(line: &str) -> Result<Command, clap::Error> {
    parse(std::iter::once("toolgate").chain(line.split_whitespace()).map(OsString::from).collect(), false)
        .map(|cli| cli.command)
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn litellms_command_lines_mean_serve() {
    for line in [
        "serve --config config.yaml --port 4001",
        "--config config.yaml --port 4001",
        "-c config.yaml --port 4001 --num_workers 4 --detailed_debug",
        "--port 4001 --config config.yaml --host 0.0.0.0 --debug --detailed_debug",
        "--config config.yaml --port 4001 --run_gunicorn --use_prisma_db_push --telemetry False --keepalive_timeout 75",
    ] {
        let command = parsed(line).expect("a command line");
        let Command::Serve(args) = command else { panic!("{line} means {command:?}") };
        let shown = format!("{args:?}");
        assert!(shown.contains("\"config.yaml\"") && shown.contains("port: 4001"), "{shown}");
    }
}

#[test]
fn check_goes_by_its_other_name_too() {
    assert!(matches!(parsed("validate a.yaml"), Ok(Command::Check(_))));
}

#[test]
fn wrong_command_lines_are_usage_errors_and_help_is_not() {
    for (line, kind) in [
        ("", ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand),
        ("--help", ErrorKind::DisplayHelp),
        ("-V", ErrorKind::DisplayVersion),
        ("--nonsense", ErrorKind::UnknownArgument),
        ("nonsense", ErrorKind::InvalidSubcommand),
        ("--ssl_keyfile_path key.pem", ErrorKind::UnknownArgument),
        ("--port 70000", ErrorKind::ValueValidation),
        ("serve --log-level info --debug", ErrorKind::ArgumentConflict),
        ("demo-server --stateless", ErrorKind::MissingRequiredArgument),
        ("completion tcsh", ErrorKind::InvalidValue),
    ] {
        let error = parsed(line).expect_err("not a command line");
        assert_eq!(error.kind(), kind, "{line}: {error}");
    }
}

#[test]
fn every_shell_has_a_script() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        assert!(matches!(parsed(&format!("completion {shell}")), Ok(Command::Completion(_))));
    }
}
