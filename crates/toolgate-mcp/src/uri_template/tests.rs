use super::Template;

#[test]
fn a_uri_belongs_to_a_template_when_it_may_come_of_it() {
    let cases: &[(&str, &[&str], &[&str])] = &[
        ("test://static", &["test://static"], &["test://static/", "test://stati", "", "Test://static"]),
        ("", &[""], &["a"]),
        ("users/{id}", &["users/7", "users/", "users/a%2Fb", "users/a:b c"], &["users/7/x", "users/7?x", "user/7"]),
        ("{a}-{b}", &["1-2", "-", "1-2-3"], &["12", "1/2-3"]),
        ("{x,y}", &["1024,768"], &["1024/768"]),
        ("{+a}-{b}/end", &["x-y/z-w/end", "-/end"], &["x-y/z/end/", "x/end"]),
        ("file:///{+path}", &["file:///", "file:///a/b?c#d"], &["file://x"]),
        ("x{+path}/here", &["x/here", "xa/b/here", "x/here/here"], &["xhere", "x/here/"]),
        ("x{#frag}", &["x", "x#", "x#a/b?c"], &["xa", "y#a"]),
        ("x{.ext}", &["x", "x.json", "x.tar.gz"], &["xjson", "x.a/b"]),
        ("{/id}", &["", "/a"], &["a", "/a/b", "/a?b"]),
        ("{/a,b}", &["", "/a", "/a/b"], &["/a/b/c"]),
        ("r{/id*}", &["r", "r/a", "r/a/b/c", "r//"], &["ra", "r/a?x"]),
        ("r{/id*}/edit", &["r/edit", "r/a/b/edit", "r/edit/edit"], &["r/a", "redit"]),
        ("s{;x,y}", &["s", "s;x=1", "s;x=1;y=2", "s;x;y"], &["s;z=1", "s;x=1/2", "s;", "sx=1"]),
        ("s{;x*}", &["s;a=1;b=2"], &["sa"]),
        (
            "s{?q,lang}",
            &["s", "s?q=1", "s?q=1&lang=en", "s?lang=en&q=", "s?q=a?b"],
            &["s?z=1", "s?", "s?q=1&", "s&q=1"],
        ),
        ("s{?q,query}", &["s?query=1", "s?q=query", "s?q&query"], &["s?que=1"]),
        ("s?fixed=1{&q}", &["s?fixed=1", "s?fixed=1&q=2"], &["s?fixed=1?q=2", "s?fixed=1&fixed=1"]),
        ("s{?rest*}", &["s?a=1&b=2"], &["s#a"]),
        ("s{?q}{#f}", &["s?q=1#x", "s#x"], &["sx#y", "s?z#x"]),
        ("{var:3}", &["val"], &["v/l"]),
        ("é{v}", &["éx"], &["ex"]),
    ];
    for (template, members, others) in cases {
        let parsed = Template::parse(template).unwrap_or_else(|| panic!("{template} is well formed"));
        for uri in *members {
            assert!(parsed.matches(uri), "{uri:?} belongs to {template:?}");
        }
        for uri in *others {
            assert!(!parsed.matches(uri), "{uri:?} does not belong to {template:?}");
        }
    }
}

#[test]
fn a_malformed_template_is_none() {
    let cases = [
        "{",
        "}",
        "a}b",
        "{}",
        "{a",
        "{a{b}",
        "{+}",
        "{a,}",
        "{a b}",
        "{=a}",
        "{!a}",
        "{@a}",
        "{|a}",
        "{,a}",
        "{a:}",
        "{a:0}",
        "{a:10000}",
        "{a:3*}",
        "{a*:3}",
        "{a**}",
        "{.}",
        "{a..b}",
        "{é}",
        "{a/b}",
    ];
    for template in cases {
        assert_eq!(Template::parse(template), None, "{template}");
    }
    assert_eq!(Template::parse(&"{a}".repeat(129)), None);
    assert_eq!(Template::parse(&"a".repeat(2049)), None);
    assert_eq!(Template::parse(&format!("{{{}a}}", "a,".repeat(64))), None);
}

#[test]
fn fifty_thousand_segments_take_one_pass_per_part() {
    let uri = format!("x://{}", "/a".repeat(50_000));
    let template = Template::parse("x://{/id*}").expect("well formed");
    assert_eq!(template.walk(&uri), (true, 1));

    // The shape that makes a backtracking matcher exponential.
    let template = Template::parse(&format!("{}!", "{+a}a".repeat(60))).expect("well formed");
    assert_eq!(template.walk(&"a".repeat(10_000)), (false, 120));
}

#[test]
fn a_uri_that_is_longer_than_any_belongs_to_no_template() {
    let template = Template::parse("{+a}").expect("well formed");
    assert!(template.matches(&"a".repeat(256 * 1024)));
    assert!(!template.matches(&"a".repeat(256 * 1024 + 1)));
}

#[test]
fn the_template_with_more_fixed_text_says_more() {
    let wide = Template::parse("docs://{+any}").expect("well formed");
    let narrow = Template::parse("docs://users/{id}").expect("well formed");
    assert!(narrow.literal_bytes() > wide.literal_bytes());
}
