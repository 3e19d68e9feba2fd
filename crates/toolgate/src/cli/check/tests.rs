use std::path::{Path, PathBuf};

use super::{CheckArgs, run};
use crate::cli::Exit;
use crate::cli::output::Output;
use crate::config::Environment;

fn check(file: &Path, change: impl FnOnce(&mut CheckArgs)) -> Exit {
    let mut args = CheckArgs { file: file.to_owned(), connect: false, json: false, strict: false };
    change(&mut args);
    let environment: Environment = [("PATH", "/bin:/usr/bin")].into_iter().collect();
    run(&args, &environment, &Output::of_process(&environment)).unwrap()
}

fn file(directory: &tempfile::TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("config.yaml");
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_exit_code_says_how_bad_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let code = |text: &str, strict: bool, json: bool| {
        check(&file(&directory, text), |args| {
            args.strict = strict;
            args.json = json;
        })
    };
    let fine = "mcp_servers: {a: {url: 'http://127.0.0.1:9/mcp'}}";
    let warned = "mcp_servers: {a: {url: 'http://127.0.0.1:9/mcp', colour: red}}";
    let wrong = "mcp_servers: {a: {url: nothing}}";
    assert_eq!(code(fine, true, false), Exit::Ok);
    assert_eq!(code(warned, false, false), Exit::Ok);
    assert_eq!(code(warned, true, true), Exit::ConfigInvalid);
    assert_eq!(code(wrong, false, true), Exit::ConfigInvalid);
    assert_eq!(check(Path::new("/not/there.yaml"), |_| ()), Exit::ConfigMissing);
}

#[test]
fn nothing_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = file(&directory, "mcp_servers: {}");
    assert_eq!(check(&path, |_| ()), Exit::Ok);
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
}

#[test]
fn connecting_to_a_server_that_is_not_there_fails_and_the_others_are_skipped() {
    // A port that was free a moment ago, on an address that only this test uses.
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let directory = tempfile::tempdir().unwrap();
    let skipped = "  later: {url: 'http://127.0.0.1:9/', auth_type: oauth2_token_exchange}\n  header: {transport: stdio, command: sh, env: {A: '${X-A}'}}\n";
    let path = file(&directory, &format!("mcp_servers:\n{skipped}"));
    assert_eq!(check(&path, |args| args.connect = true), Exit::Ok);
    let path = file(&directory, &format!("mcp_servers:\n{skipped}  dead: {{url: 'http://127.0.0.1:{port}/mcp'}}\n"));
    assert_eq!(check(&path, |args| args.connect = true), Exit::Unreachable);
}

#[test]
fn descriptions_of_rest_apis_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let spec = directory.path().join("api.yaml");
    let entry =
        |spec: &Path| format!("mcp_servers: {{a: {{url: 'http://127.0.0.1:9/', spec_path: '{}'}}}}", spec.display());
    std::fs::write(&spec, "openapi: 3.0.0\npaths: {/a: {get: {}}}").unwrap();
    assert_eq!(check(&file(&directory, &entry(&spec)), |_| ()), Exit::Ok);
    std::fs::write(&spec, "<html></html>").unwrap();
    assert_eq!(check(&file(&directory, &entry(&spec)), |_| ()), Exit::Unreachable);
    let missing = directory.path().join("missing.yaml");
    assert_eq!(check(&file(&directory, &entry(&missing)), |args| args.json = true), Exit::Unreachable);
}
