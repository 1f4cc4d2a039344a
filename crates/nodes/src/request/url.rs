//! URLs that stay where the connection allows them.

use model::{Failure, FailureClass};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use reqwest::Url;

use crate::request::{refused, shorten};

/// What stays as it is in a query: the unreserved characters, and those that make lists and times readable.
const QUERY: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b',').remove(b':');

/// Where a call may go.
#[derive(Debug, Clone)]
pub(crate) enum Base {
    /// Anywhere: a node without a connection gives a whole URL.
    Anywhere,
    /// Paths below this URL, which does not end with a slash.
    Below(String),
    /// Paths below this URL, or whole URLs that are.
    BelowOrWhole(String),
}

impl Base {
    /// Checks the URL of a connection, and gives it without a slash at its end.
    pub(crate) fn check(url: &str) -> Result<String, String> {
        let parsed = Url::parse(url).map_err(|error| error.to_string())?;
        check_scheme(&parsed)?;
        if parsed.query().is_some() || parsed.fragment().is_some() {
            return Err("it has a query or a fragment".to_owned());
        }
        Ok(parsed.as_str().trim_end_matches('/').to_owned())
    }

    /// The URL for this path and query.
    pub(crate) fn below(&self, path: &str, query: &[(String, String)]) -> Result<Url, Failure> {
        let mut url = match self {
            Base::Anywhere => whole(path)?,
            Base::Below(base) => join(base, path)?,
            Base::BelowOrWhole(base) if path.starts_with('/') => join(base, path)?,
            Base::BelowOrWhole(base) => {
                let url = whole(path)?;
                check_below(base, &url)?;
                url
            }
        };
        if !query.is_empty() {
            let encode = |text: &str| utf8_percent_encode(text, QUERY).to_string();
            let query: Vec<String> =
                query.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
            let given = url.query().filter(|given| !given.is_empty()).map(|given| format!("{given}&"));
            url.set_query(Some(&format!("{}{}", given.unwrap_or_default(), query.join("&"))));
        }
        Ok(url)
    }
}

fn join(base: &str, path: &str) -> Result<Url, Failure> {
    let outside = || {
        refused(format!("the path `{}` leaves the URL of the connection", shorten(path)))
            .help("a value from an alert stands in the path: look at where it comes from")
    };
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\\' | '?' | '#');
    if !path.starts_with('/') || path.starts_with("//") || !path.chars().all(is_plain) || climbs(path) {
        return Err(outside());
    }
    let url = Url::parse(&format!("{base}{path}")).map_err(|_| outside())?;
    check_below(base, &url)?;
    Ok(url)
}

fn whole(text: &str) -> Result<Url, Failure> {
    let invalid = |detail: String| refused(format!("`{}` is not a URL to call: {detail}", url_shown(text)));
    let url = Url::parse(text).map_err(|error| invalid(error.to_string()))?;
    check_scheme(&url).map_err(invalid)?;
    Ok(url)
}

/// A URL as it may be shown: without the user and the password that should not be in it.
pub(crate) fn url_shown(text: &str) -> String {
    let authority = text.find("://").map_or(0, |at| at + 3);
    let end = text
        .get(authority..)
        .and_then(|rest| rest.find(['/', '?', '#']))
        .map_or(text.len(), |at| at + authority);
    match text.get(authority..end).and_then(|part| part.rfind('@')) {
        Some(at) => shorten(&format!("{}...{}", &text[..authority], &text[authority + at..])),
        None => shorten(text),
    }
}

fn check_scheme(url: &Url) -> Result<(), String> {
    if !matches!(url.scheme(), "http" | "https") {
        return Err("only http and https are spoken".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it holds a user or a password: those belong into a connection".to_owned());
    }
    url.host().map(|_| ()).ok_or_else(|| "it has no host".to_owned())
}

fn check_below(base: &str, url: &Url) -> Result<(), Failure> {
    let is_below = Url::parse(base).is_ok_and(|base| {
        let folder = base.path().trim_end_matches('/');
        let rest = url.path().strip_prefix(folder);
        base.origin() == url.origin() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    if is_below && !climbs(url.path()) {
        return Ok(());
    }
    let message = format!("`{}` is not below `{base}`, the URL of the connection", shorten(url.as_str()));
    Err(Failure::new(FailureClass::Input, message)
        .help("what proves who we are goes to the connection's own host only: drop `connection`, or correct the URL"))
}

/// Whether a segment means the folder above, also when a server decodes it once or twice.
fn climbs(path: &str) -> bool {
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    path.split('/').any(|segment| {
        let once = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
        [once, twice].iter().any(|text| text.split(['/', '\\']).any(is_dots))
    })
}
