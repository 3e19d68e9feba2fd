use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use super::{FrontDoor, OriginVerdict, Refused, check};
use crate::config::settings::{AllowedOrigins, Bind, General};

fn general(hosts: &[&str], origins: AllowedOrigins) -> General {
    let allowed_hosts = hosts.iter().map(|host| (*host).to_owned()).collect();
    General { allowed_hosts, allowed_origins: origins, ..crate::auth::testing::general("") }
}

fn headers(name: &'static str, values: &[&str]) -> HeaderMap {
    values.iter().map(|value| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
}

fn check_host(bind: &str, allowed: &[&str], hosts: &[&str]) -> Result<(), Refused> {
    let bind = Bind { host: bind.parse().unwrap(), port: 4000, metrics_port: None };
    let general = general(allowed, AllowedOrigins::Listed(Vec::new()));
    check(&Uri::from_static("/mcp"), &headers("host", hosts), &general, &bind).map(|_| ())
}

#[test]
fn on_loopback_only_loopback_names_and_allowed_hosts_are_served() {
    let not = |host: &str| Err(Refused::HostNotAllowed(host.to_owned()));
    let cases = [
        ("localhost", Ok(())),
        ("LOCALHOST:4000", Ok(())),
        ("localhost.", Ok(())),
        ("app.localhost:1", Ok(())),
        ("127.0.0.1:4000", Ok(())),
        ("127.9.9.9", Ok(())),
        ("[::1]:4000", Ok(())),
        ("[::ffff:127.0.0.1]", Ok(())),
        ("gate.corp", Ok(())),
        ("Gate.Corp:8443", Ok(())),
        ("evil.test", not("evil.test")),
        ("evil.test:4000", not("evil.test")),
        ("localhost.evil.test", not("localhost.evil.test")),
        ("127.0.0.1.evil.test", not("127.0.0.1.evil.test")),
        ("10.0.0.7", not("10.0.0.7")),
        ("0.0.0.0:4000", not("0.0.0.0")),
    ];
    for (host, expected) in cases {
        assert_eq!(check_host("127.0.0.1", &["gate.corp"], &[host]), expected, "{host}");
    }
}

#[test]
fn elsewhere_any_name_is_served_until_some_are_listed() {
    assert_eq!(check_host("0.0.0.0", &[], &["anything.example"]), Ok(()));
    assert_eq!(check_host("::", &[], &["10.1.2.3:4000"]), Ok(()));
    assert_eq!(check_host("0.0.0.0", &["gate.corp"], &["gate.corp"]), Ok(()));
    assert_eq!(check_host("0.0.0.0", &["gate.corp"], &["127.0.0.1:4000"]), Ok(()));
    assert_eq!(check_host("10.0.0.7", &["gate.corp"], &["10.0.0.7:4000"]), Ok(()));
    let refused = Err(Refused::HostNotAllowed("other.corp".to_owned()));
    assert_eq!(check_host("0.0.0.0", &["gate.corp"], &["other.corp"]), refused);
}

#[test]
fn a_host_that_is_not_one_host_and_port_is_malformed_everywhere() {
    let broken: [&[&str]; 12] = [
        &[],
        &["localhost", "localhost"],
        &[""],
        &["localhost:"],
        &["localhost:http"],
        &["localhost:99999"],
        &["user@localhost"],
        &["localhost/mcp"],
        &["localhost?x"],
        &["local host"],
        &["[::1"],
        &["."],
    ];
    for hosts in broken {
        assert_eq!(check_host("0.0.0.0", &[], hosts), Err(Refused::MalformedHost), "{hosts:?}");
    }
}

#[test]
fn the_target_counts_as_host_and_must_not_contradict_it() {
    let bind = Bind { host: "127.0.0.1".parse().unwrap(), port: 4000, metrics_port: None };
    let general = general(&[], AllowedOrigins::Listed(Vec::new()));
    let check = |target: &'static str, hosts: &[&str]| {
        check(&Uri::from_static(target), &headers("host", hosts), &general, &bind).map(|_| ())
    };
    assert_eq!(check("http://localhost:4000/mcp", &[]), Ok(()));
    assert_eq!(check("http://localhost:4000/mcp", &["localhost:4000"]), Ok(()));
    assert_eq!(check("http://evil.test/mcp", &["localhost"]), Err(Refused::MalformedHost));
    assert_eq!(check("http://evil.test/mcp", &[]), Err(Refused::HostNotAllowed("evil.test".to_owned())));
}

#[test]
fn pages_may_call_from_here_from_loopback_and_from_listed_origins() {
    let listed =
        || AllowedOrigins::Listed(vec!["https://inspector.example".to_owned(), "vscode-webview://abc".to_owned()]);
    let bind = Bind { host: "0.0.0.0".parse().unwrap(), port: 4000, metrics_port: None };
    let verdict = |host: &str, origins: &[&str], allowed: AllowedOrigins| {
        let mut sent = headers("origin", origins);
        sent.insert("host", HeaderValue::from_str(host).unwrap());
        check(&Uri::from_static("/mcp"), &sent, &general(&[], allowed), &bind)
    };
    assert_eq!(verdict("gate.corp", &[], listed()), Ok(OriginVerdict::NoOrigin));

    let passing = [
        ("gate.corp", "https://gate.corp"),
        ("gate.corp", "http://gate.corp:80"),
        ("gate.corp:443", "https://GATE.corp"),
        ("gate.corp:4000", "http://gate.corp:4000"),
        ("gate.corp", "http://localhost:6274"),
        ("gate.corp", "http://127.0.0.1"),
        ("gate.corp", "http://[::1]:3000"),
        ("gate.corp", "https://inspector.example"),
        ("gate.corp", "vscode-webview://abc"),
    ];
    for (host, origin) in passing {
        let echo = OriginVerdict::Echo(HeaderValue::from_str(origin).unwrap());
        assert_eq!(verdict(host, &[origin], listed()), Ok(echo), "{host} {origin}");
    }

    let refused = [
        "null",
        "",
        "http://evil.test",
        "https://gate.corp:4000",
        "http://localhost.evil.test",
        "https://inspector.example.evil.test",
        "https://inspector.example:8443",
        "file://localhost",
        "gate.corp",
        "http://gate.corp/path",
        "http://user@gate.corp",
    ];
    for origin in refused {
        let expected = Err(Refused::OriginNotAllowed(origin.to_owned()));
        assert_eq!(verdict("gate.corp", &[origin], listed()), expected, "{origin}");
    }
}

#[test]
fn a_star_lets_every_page_in_but_never_two_origins() {
    let bind = Bind { host: "127.0.0.1".parse().unwrap(), port: 4000, metrics_port: None };
    let verdict = |origins: &[&str]| {
        let mut sent = headers("origin", origins);
        sent.insert("host", HeaderValue::from_static("localhost"));
        check(&Uri::from_static("/"), &sent, &general(&[], AllowedOrigins::Any), &bind)
    };
    assert_eq!(verdict(&["http://evil.test"]).unwrap().allow_origin().unwrap(), "*");
    assert_eq!(verdict(&["null"]), Ok(OriginVerdict::Any));
    let twice = verdict(&["http://localhost", "http://localhost"]);
    assert_eq!(twice, Err(Refused::OriginNotAllowed("(sent twice)".to_owned())));
}

#[test]
fn a_host_that_passed_before_opens_nothing_else() {
    let bind = Bind { host: "127.0.0.1".parse().unwrap(), port: 4000, metrics_port: None };
    let general = general(&[], AllowedOrigins::Listed(Vec::new()));
    let door = FrontDoor::default();
    let ask = |target: &'static str, sent: &[(&'static str, &'static str)]| {
        let sent: HeaderMap =
            sent.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect();
        let direct = check(&Uri::from_static(target), &sent, &general, &bind);
        assert_eq!(door.check(&Uri::from_static(target), &sent, &general, &bind), direct, "{target} {sent:?}");
        direct
    };
    assert!(ask("/mcp", &[("host", "evil.test")]).is_err());
    for _ in 0..2 {
        assert_eq!(ask("/mcp", &[("host", "localhost:4000")]), Ok(OriginVerdict::NoOrigin));
        assert!(ask("/mcp", &[("host", "localhost:4000"), ("origin", "http://evil.test")]).is_err());
        assert!(ask("/mcp", &[("host", "localhost:4000"), ("host", "localhost:4000")]).is_err());
        assert!(ask("http://evil.test/mcp", &[("host", "localhost:4000")]).is_err());
        assert!(ask("/mcp", &[("host", "evil.test")]).is_err());
        assert!(ask("/mcp", &[]).is_err());
    }
}
