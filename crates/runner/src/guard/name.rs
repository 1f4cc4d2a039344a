//! Patterns of names: of hosts and of accounts.

/// A name with `*` for any characters; upper and lower case are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// As the operator wrote it, in lower case.
    text: String,
    /// The same name without its domain.
    bare: Option<String>,
}

impl Pattern {
    /// The pattern of a host: `dc*`, or `dc1.corp.example`, which is also `dc1`.
    pub fn of_host(text: &str) -> Option<Pattern> {
        let text = super::touched::clean(text).trim().trim_end_matches('.').to_owned();
        let bare = text.split_once('.').map(|(bare, _)| bare.to_owned());
        Pattern::new(text, bare)
    }

    /// The pattern of an account: `svc-*`, or `CORP\admin` and `admin@corp.example`, which are also `admin`.
    pub fn of_account(text: &str) -> Option<Pattern> {
        let text = super::touched::clean(text).trim().to_owned();
        let bare = match text.rsplit_once(['\\', '/']) {
            Some((_, bare)) => Some(bare.to_owned()),
            None => text.split_once('@').map(|(bare, _)| bare.to_owned()),
        };
        Pattern::new(text, bare)
    }

    /// None where it would be every name.
    fn new(text: String, bare: Option<String>) -> Option<Pattern> {
        let is_name = |text: &String| text.contains(char::is_alphanumeric);
        is_name(&text).then(|| Pattern { bare: bare.filter(is_name), text })
    }

    /// Whether a host has this name: the whole one, or its first label.
    pub(super) fn is_host(&self, word: &str) -> bool {
        let word = word.trim_end_matches(['.', '$']);
        let label = word.split_once('.').map(|(label, _)| label);
        self.is(word) || label.is_some_and(|label| super::address::read(word).is_empty() && self.is(label))
    }

    /// Whether this is the name, or the name without its domain.
    pub(super) fn is(&self, word: &str) -> bool {
        matches(&self.text, word) || self.bare.as_ref().is_some_and(|bare| matches(bare, word))
    }
}

impl std::fmt::Display for Pattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether a pattern with `*` is the whole of a text. A star is tried at each place, and the last star alone goes back, so
/// it takes no more than the product of both lengths.
fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t, mut star) = (0, 0, None);
    while t < text.len() {
        if pattern.get(p) == Some(&b'*') {
            star = Some((p, t));
            p += 1;
        } else if pattern.get(p) == text.get(t) {
            (p, t) = (p + 1, t + 1);
        } else if let Some((at, from)) = star {
            star = Some((at, from + 1));
            (p, t) = (at + 1, from + 1);
        } else {
            return false;
        }
    }
    pattern.get(p..).is_some_and(|rest| rest.iter().all(|byte| *byte == b'*'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_has_a_name_and_a_domain() {
        let is = |pattern: &str, word: &str| Pattern::of_host(pattern).unwrap().is_host(word);
        assert!(is("dc*", "dc1") && is("DC*", "dc1.corp.example.") && is("dc1", "dc1.corp.example"));
        assert!(
            is("dc1.corp.example", "dc1") && is("*.corp.example", "web.corp.example") && is("dc1", "dc1$")
        );
        assert!(!is("dc*", "web-dc1") && !is("*.corp.example", "web") && !is("10", "10.0.0.1"));
    }

    #[test]
    fn an_account_has_a_name_and_a_domain() {
        let is = |pattern: &str, word: &str| Pattern::of_account(pattern).unwrap().is(word);
        assert!(is("svc-*", "svc-backup") && is(r"CORP\admin", "admin") && is("admin@corp.example", "admin"));
        assert!(is("*admin*", "sysadmin2") && is(r"corp\*", r"corp\bob"));
        assert!(!is(r"corp\*", "bob") && !is("admin", "admins") && !is("svc-*", "my-svc-1"));
    }

    #[test]
    fn a_pattern_of_everything_is_none() {
        assert_eq!(Pattern::of_host("*"), None);
        assert_eq!(Pattern::of_account("*.*"), None);
        assert_eq!(Pattern::of_account(""), None);
    }

    proptest::proptest! {
        #[test]
        fn a_star_is_any_text(head in "[a-z]{0,4}", middle in "[a-z]{0,6}", tail in "[a-z]{0,4}") {
            let text = format!("{head}{middle}{tail}");
            for pattern in [format!("{head}*{tail}"), format!("{head}**{tail}"), format!("*{middle}*"), text.clone()] {
                proptest::prop_assert!(matches(&pattern, &text), "{} {}", pattern, text);
            }
            let other = format!("{text}x");
            proptest::prop_assert!(!matches(&text, &other));
        }
    }
}
