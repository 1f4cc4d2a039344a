use insta::assert_snapshot;

use super::*;

fn below(base: &str, path: &str) -> String {
    let base = Base::Below(Root::parse(base).unwrap());
    base.below(path, &[]).map_or_else(|failure| failure.message, |url| url.to_string())
}

fn whole(base: &str, url: &str) -> String {
    let base = Base::BelowOrWhole(Root::parse(base).unwrap());
    base.below(url, &[]).map_or_else(|failure| failure.message, |url| url.to_string())
}

#[test]
fn a_path_stays_below_the_connection() {
    assert_eq!(below("https://h:9000/thehive/", "/case/~1"), "https://h:9000/thehive/case/~1");
    assert_eq!(below("https://h/api", "/group%2Fproject"), "https://h/api/group%2Fproject");
    for path in [
        "/case/../../admin",
        "/case/..",
        "/./case",
        "/case/%2e%2e/admin",
        "/case/..%2fadmin",
        "/case/%252e%252e/admin",
        "/case/%2e%2e%5cadmin",
        "//evil.example/",
        "/\\evil.example",
        "@evil.example",
        "evil",
        "/a?b",
        "/a#b",
        "/a b",
        "/a\nb",
        "",
    ] {
        assert!(below("https://h/api", path).contains("leaves the URL of the connection"), "{path}");
    }
}

#[test]
fn a_whole_url_has_to_be_below_the_connection_too() {
    assert_eq!(whole("https://h/api", "https://h/api/x?y=1"), "https://h/api/x?y=1");
    assert_eq!(whole("https://h/api", "/x"), "https://h/api/x");
    for url in [
        "https://evil/api/x",
        "http://h/api/x",
        "https://h:444/api/x",
        "https://h/apix",
        "https://h/",
        "https://h.evil/api/x",
        "https://h@evil/api/x",
        "https://h/api/../x",
        "https://h/api/%2e%2e/x",
        "https://h/api/..%2fx",
    ] {
        let refused = whole("https://h/api", url);
        assert!(
            refused.contains("is not below") || refused.contains("is not a URL to call"),
            "{url}: {refused}"
        );
    }
}

#[test]
fn the_url_of_a_connection_is_checked() {
    let check = |url: &str| Root::parse(url).unwrap_err();
    assert_snapshot!(check("wazuh:55000"), @"only http and https are spoken");
    assert_snapshot!(check("ftp://h"), @"only http and https are spoken");
    assert_snapshot!(check("https://user:password@h"), @"it holds a user or a password: those belong into a connection");
    assert_snapshot!(check("https://h/?a=b"), @"it has a query or a fragment");
    assert_snapshot!(check("h"), @"relative URL without a base");
}

#[test]
fn a_url_is_shown_without_a_password() {
    assert_eq!(url_shown("https://user:pass@h/a@b"), "https://...@h/a@b");
    assert_eq!(url_shown("user:p/ss@h"), "user:p/ss@h");
    assert_eq!(url_shown("https://h/a@b"), "https://h/a@b");
}

#[test]
fn a_header_that_is_not_a_nodes_to_set_is_refused() {
    for (name, value) in [("Host", "evil"), ("content-length", "0"), ("x y", "z"), ("x", "a\r\nb: c")] {
        assert!(header_name(name).and_then(|_| header_value(name, value)).is_err(), "{name}");
    }
}
