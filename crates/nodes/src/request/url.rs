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
    /// Paths below this URL.
    Below(Root),
    /// Paths below this URL, or whole URLs that are.
    BelowOrWhole(Root),
}

/// The URL of a connection.
#[derive(Debug, Clone)]
pub(crate) struct Root {
    url: Url,
    /// Its path, without a slash at its end.
    folder: String,
}

impl Root {
    /// Checks the URL of a connection.
    pub(crate) fn parse(url: &str) -> Result<Root, String> {
        let url = Url::parse(url).map_err(|error| error.to_string())?;
        check_scheme(&url)?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err("it has a query or a fragment".to_owned());
        }
        let folder = url.path().trim_end_matches('/').to_owned();
        Ok(Root { url, folder })
    }

    /// The URL, without a slash at its end.
    pub(crate) fn as_str(&self) -> &str {
        self.url.as_str().trim_end_matches('/')
    }

    fn join(&self, path: &str) -> Result<Url, Failure> {
        let outside = || {
            refused(format!("the path `{}` leaves the URL of the connection", shorten(path)))
                .help("a value from an alert stands in the path: look at where it comes from")
        };
        let is_plain = |c: char| !c.is_control() && !c.is_whitespace() && !matches!(c, '\\' | '?' | '#');
        if !path.starts_with('/') || path.starts_with("//") || !path.chars().all(is_plain) || climbs(path) {
            return Err(outside());
        }
        let mut url = self.url.clone();
        url.set_path(&format!("{}{path}", self.folder));
        self.check_below(&url)?;
        Ok(url)
    }

    fn check_below(&self, url: &Url) -> Result<(), Failure> {
        let rest = url.path().strip_prefix(&self.folder);
        let is_below = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_below && is_same_origin(&self.url, url) && !climbs(url.path()) {
            return Ok(());
        }
        let message = format!(
            "`{}` is not below `{}`, the URL of the connection",
            shorten(url.as_str()),
            self.as_str()
        );
        Err(Failure::new(FailureClass::Input, message)
            .help("what proves who we are goes to the connection's own host only: drop `connection`, or correct the URL"))
    }
}

impl Base {
    /// The URL for this path and query.
    pub(crate) fn below(&self, path: &str, query: &[(String, String)]) -> Result<Url, Failure> {
        let mut url = match self {
            Base::Anywhere => whole(path)?,
            Base::Below(root) => root.join(path)?,
            Base::BelowOrWhole(root) if path.starts_with('/') => root.join(path)?,
            Base::BelowOrWhole(root) => {
                let url = whole(path)?;
                root.check_below(&url)?;
                url
            }
        };
        if !query.is_empty() {
            let mut all = url.query().filter(|given| !given.is_empty()).unwrap_or_default().to_owned();
            for (name, value) in query {
                let separator = if all.is_empty() { "" } else { "&" };
                all.extend([separator]);
                all.extend(utf8_percent_encode(name, QUERY));
                all.push('=');
                all.extend(utf8_percent_encode(value, QUERY));
            }
            url.set_query(Some(&all));
        }
        Ok(url)
    }
}

/// The same scheme, host and port.
fn is_same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
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

/// Whether a segment means the folder above, also when a server decodes it once or twice.
fn climbs(path: &str) -> bool {
    if !path.contains(['%', '.']) {
        return false;
    }
    let is_dots = |segment: &str| matches!(segment, "." | "..");
    path.split('/').any(|segment| {
        let once = percent_decode_str(segment).decode_utf8_lossy().into_owned();
        let twice = percent_decode_str(&once).decode_utf8_lossy().into_owned();
        [once, twice].iter().any(|text| text.split(['/', '\\']).any(is_dots))
    })
}
