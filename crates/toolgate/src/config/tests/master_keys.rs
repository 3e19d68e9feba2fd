//! Where the master key comes from, and which one is refused where.

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::super::master_key::{MasterKeyError, check_for_bind, data_directory, settle};
use super::super::settings::{General, MasterKeyOrigin};
use super::super::{Environment, parse};
use super::{environment, load, settings, settings_in};

fn without_key() -> General {
    settings_in("", &Environment::default()).general
}

fn key(general: &General) -> &str {
    general.master_key.expose_secret()
}

#[test]
fn the_file_wins_over_the_variable_and_the_variable_over_the_key_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("key");
    std::fs::write(&file, "sk-from-the-key-file-0123456789abcdef\n").unwrap();
    let file = file.to_str().unwrap();

    let general = settings("general_settings: {master_key: sk-from-the-file-0123456789abcdef}").general;
    assert_eq!(
        (key(&general), &general.master_key_origin),
        ("sk-from-the-file-0123456789abcdef", &MasterKeyOrigin::File)
    );

    let both = [("LITELLM_MASTER_KEY", "sk-x"), ("LITELLM_MASTER_KEY_FILE", file)].into_iter().collect();
    let general = settings_in("", &both).general;
    assert_eq!((key(&general), &general.master_key_origin), ("sk-x", &MasterKeyOrigin::Environment));

    let general = settings_in("", &[("LITELLM_MASTER_KEY_FILE", file)].into_iter().collect()).general;
    assert_eq!(key(&general), "sk-from-the-key-file-0123456789abcdef");

    let missing = [("LITELLM_MASTER_KEY_FILE", "/not/there")].into_iter().collect();
    assert!(parse("", "config.yaml", &missing).has_errors());
}

#[test]
fn parsing_writes_nothing_and_never_leaves_the_gateway_open() {
    let home = tempfile::tempdir().unwrap();
    let one = settings_in("", &[("HOME", home.path().to_str().unwrap())].into_iter().collect()).general;
    let two = without_key();
    assert_eq!(one.master_key_origin, MasterKeyOrigin::NotGiven);
    assert_ne!(key(&one), key(&two));
    assert_eq!(key(&one).len(), 46);
    assert!(std::fs::read_dir(home.path()).unwrap().next().is_none());
}

#[test]
fn a_key_is_made_once_and_kept_for_its_owner_alone() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut first = without_key();
    let made = settle(&mut first, Some(&data), &Environment::default()).unwrap().unwrap();
    assert_eq!(made.key.expose_secret(), key(&first));
    assert_eq!(first.master_key_origin, MasterKeyOrigin::DataDirectory(made.file.clone()));

    let mut second = without_key();
    assert!(settle(&mut second, Some(&data), &Environment::default()).unwrap().is_none());
    assert_eq!(key(&second), key(&first));
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 1);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&made.file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&data).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

#[test]
fn of_many_that_start_at_once_all_get_the_same_key() {
    let directory = tempfile::tempdir().unwrap();
    let keys: Vec<(String, bool)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut general = without_key();
                    let made = settle(&mut general, Some(directory.path()), &Environment::default()).unwrap();
                    (key(&general).to_owned(), made.is_some())
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.iter().all(|(key, _)| *key == keys[0].0));
    assert_eq!(keys.iter().filter(|(_, made)| *made).count(), 1);
}

#[test]
fn a_place_that_cannot_be_written_or_a_spoilt_file_is_an_error() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("not-a-directory");
    std::fs::write(&file, "").unwrap();
    let settle = |data: Option<&std::path::Path>| settle(&mut without_key(), data, &Environment::default());
    assert!(matches!(settle(Some(&file)), Err(MasterKeyError::Io { .. })));
    std::fs::write(directory.path().join("master_key"), "\n").unwrap();
    assert!(matches!(settle(Some(directory.path())), Err(MasterKeyError::NotAKey(_))));
    assert!(matches!(settle(None), Err(MasterKeyError::NoDataDirectory)));
}

#[test]
fn a_given_key_is_never_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let mut general = load("").settings.unwrap().general;
    let before = key(&general).to_owned();
    assert!(settle(&mut general, Some(directory.path()), &environment()).unwrap().is_none());
    assert_eq!(key(&general), before);
    assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none());
}

#[test]
fn the_data_directory_is_where_people_expect_it() {
    let check = |flag: Option<&str>, variables: &[(&str, &str)], expected: Option<&str>| {
        let environment: Environment = variables.iter().copied().collect();
        let found = data_directory(flag.map(std::path::Path::new), &environment).ok();
        assert_eq!(found.as_deref(), expected.map(std::path::Path::new));
    };
    let all = [("TOOLGATE_DATA_DIR", "/data"), ("XDG_DATA_HOME", "/xdg"), ("HOME", "/home/me")];
    check(Some("/flag"), &all, Some("/flag"));
    check(None, &all, Some("/data"));
    check(None, &all[1..], Some("/xdg/toolgate"));
    check(None, &all[2..], Some("/home/me/.local/share/toolgate"));
    check(None, &[("XDG_DATA_HOME", "relative"), ("HOME", "/home/me")], Some("/home/me/.local/share/toolgate"));
    check(None, &[], None);
}

#[test]
fn a_weak_key_is_for_loopback_only() {
    let general = |key: &str| settings(&format!("general_settings: {{master_key: {key}}}")).general;
    let everywhere: IpAddr = [0, 0, 0, 0].into();
    let loopback: IpAddr = [127, 0, 0, 1].into();
    let weak = general("sk-1234");
    assert!(check_for_bind(&weak, loopback, false).is_ok());
    assert!(check_for_bind(&weak, everywhere, false).is_err());
    assert!(check_for_bind(&weak, everywhere, true).is_ok());
    assert!(check_for_bind(&general("sk-0123456789abcdef0123456789abcdef"), everywhere, false).is_ok());
}
