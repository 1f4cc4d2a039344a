//! What looks like a password, a token or a key in a text that people share.
//!
//! It works on the text alone, so that a secret is hidden also where the YAML around it cannot be read.

use std::ops::Range;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::rule::Rule;

/// How tokens of known products begin, and how long they are at least.
const BEGINNINGS: [(&str, usize, &str); 17] = [
    ("AIza", 35, "a Google API key"),
    ("AKIA", 20, "an AWS access key"),
    ("ASIA", 20, "an AWS access key"),
    ("eyJ", 30, "a JSON Web Token"),
    ("ghp_", 30, "a GitHub token"),
    ("gho_", 30, "a GitHub token"),
    ("ghs_", 30, "a GitHub token"),
    ("github_pat_", 30, "a GitHub token"),
    ("glpat-", 20, "a GitLab token"),
    ("sk-", 24, "an API key"),
    ("sk_live_", 20, "an API key"),
    ("rk_live_", 20, "an API key"),
    ("xoxa-", 20, "a Slack token"),
    ("xoxb-", 20, "a Slack token"),
    ("xoxp-", 20, "a Slack token"),
    ("xapp-", 20, "a Slack token"),
    ("hvs.", 20, "a Vault token"),
];
/// Keys whose value is a secret.
const KEYS: [&str; 14] = [
    "access_token",
    "api_key",
    "api-key",
    "apikey",
    "auth_token",
    "client_secret",
    "passphrase",
    "passwd",
    "password",
    "private_key",
    "secret",
    "secret_key",
    "token",
    "x-api-key",
];

/// Adds a finding for each secret, and hides all of them.
pub(crate) fn report(mut findings: Diagnostics) -> Diagnostics {
    let found = find(findings.source());
    for (at, what) in &found {
        let message = format!("this looks like {what}: it does not belong into a playbook");
        let help = "take it out, replace it at its product, and let the step name a `connection`";
        findings.push(Diagnostic::new(Rule::SECRET_LITERAL, at.clone(), message).help(help));
    }
    for (at, _) in found {
        findings.hide(at);
    }
    findings
}

/// The secrets of a text, in the order of their places, and what each looks like.
fn find(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found: Vec<(Range<usize>, &'static str)> = private_keys(text);
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        // Every secret that is looked for has a digit, or stands in a URL before an `@`. Most lines have neither.
        if !line.bytes().any(|byte| byte.is_ascii_digit() || byte == b'@') {
            start += line.len();
            continue;
        }
        let in_line = [in_url(line), behind_scheme(line), of_key(line)].into_iter().flatten();
        let all = in_line.chain(words(line)).map(|(at, what)| (start + at.start..start + at.end, what));
        for (at, what) in all {
            if !found.iter().any(|(other, _)| other.start < at.end && at.start < other.end) {
                found.push((at, what));
            }
        }
        start += line.len();
    }
    found.sort_by_key(|(at, _)| at.start);
    found
}

fn is_part(c: char) -> bool {
    c.is_ascii_alphanumeric() || "+/=._-~".contains(c)
}

/// Words that begin as the tokens of known products do.
fn words(line: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    let mut at = 0;
    for word in line.split(|c: char| !is_part(c)) {
        let is_token = |(beginning, length, _): &&(&str, usize, &str)| {
            word.len() >= *length && word.starts_with(beginning) && has_digit_and_letter(word)
        };
        if let Some((beginning, _, what)) = BEGINNINGS.iter().find(is_token)
            && (*beginning != "eyJ" || word.matches('.').count() == 2)
        {
            found.push((at..at + word.len(), *what));
        }
        at += word.len();
        at += line.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    }
    found
}

/// `https://user:password@host`.
fn in_url(line: &str) -> Option<(Range<usize>, &'static str)> {
    let start = line.find("://")? + 3;
    let rest = line.get(start..)?;
    let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c)).unwrap_or(rest.len());
    let (user, _) = rest.get(..end)?.rsplit_once('@')?;
    let (name, password) = user.split_once(':')?;
    let at = start + name.len() + 1;
    let is_literal = !password.is_empty() && !password.contains("{{");
    is_literal.then(|| (at..at + password.len(), "a password in a URL"))
}

/// `Bearer TOKEN`, `Basic TOKEN`.
fn behind_scheme(line: &str) -> Option<(Range<usize>, &'static str)> {
    ["Bearer ", "bearer ", "Basic ", "basic ", "Token ", "ApiKey "].into_iter().find_map(|scheme| {
        let start = line.find(scheme)? + scheme.len();
        let rest = line.get(start..)?;
        let length = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let token = rest.get(..length)?;
        (length >= 16 && has_digit_and_letter(token)).then(|| (start..start + length, "a token"))
    })
}

/// `password: hunter2`: a word that is neither an expression nor a path.
fn of_key(line: &str) -> Option<(Range<usize>, &'static str)> {
    let code = line.split(" #").next().unwrap_or_default();
    let lower = code.to_ascii_lowercase();
    KEYS.into_iter().find_map(|key| {
        let at = lower.match_indices(key).map(|(at, _)| at).find(|at| {
            let before = lower.get(..*at).and_then(|text| text.chars().next_back());
            before.is_none_or(|c| " {,\"'-_".contains(c))
        })?;
        let rest = code.get(at + key.len()..)?;
        let value = rest.trim_start_matches(['"', '\'']).strip_prefix(':')?.trim_start();
        let value = value.trim_start_matches(['"', '\'']);
        let start = code.len() - value.len();
        let length = value.find(|c: char| c.is_whitespace() || "\"',}".contains(c)).unwrap_or(value.len());
        let value = value.get(..length)?;
        let is_path = value.contains('.')
            && !value.contains(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
        let is_secret = length >= 6 && !value.contains(['{', '(']) && !is_path && has_digit_and_letter(value);
        is_secret.then(|| (start..start + length, "a secret, by the name of its key"))
    })
}

/// PEM, up to its end or to the end of the text.
fn private_keys(text: &str) -> Vec<(Range<usize>, &'static str)> {
    let mut found = Vec::new();
    let mut from = 0;
    while let Some(start) = text.get(from..).and_then(|rest| rest.find("-----BEGIN ")).map(|at| from + at) {
        let rest = text.get(start..).unwrap_or_default();
        let title = rest.lines().next().unwrap_or_default();
        from = start + title.len().max(1);
        if title.contains("PRIVATE KEY") {
            let end = rest.find("-----END ").map_or(text.len(), |at| start + at);
            found.push((start..end, "a private key"));
            from = end.max(from);
        }
    }
    found
}

fn has_digit_and_letter(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit()) && text.contains(|c: char| c.is_ascii_alphabetic())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str) -> String {
        find(text).into_iter().map(|(at, what)| format!("{what}: {}\n", &text[at])).collect()
    }

    #[test]
    fn what_looks_like_a_secret_is_found() {
        insta::assert_snapshot!(check(concat!(
            "headers: { authorization: \"Bearer 9f8e7d6c5b4a39281706f5e4d3c2b1a0\" }\n",
            "url: https://ana:hunter2@ticket.example/api\n",
            "password: hunter2 # ours\n",
            "vars: { key: AKIAIOSFODNN7EXAMPLE, jwt: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl1 }\n",
            "text: 'ghp_0123456789abcdefghij0123456789abcdef'\n",
            "key: |\n  -----BEGIN RSA PRIVATE KEY-----\n  MIIE\n  -----END RSA PRIVATE KEY-----\n",
        )), @"
        a token: 9f8e7d6c5b4a39281706f5e4d3c2b1a0
        a password in a URL: hunter2
        a secret, by the name of its key: hunter2
        an AWS access key: AKIAIOSFODNN7EXAMPLE
        a JSON Web Token: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl1
        a GitHub token: ghp_0123456789abcdefghij0123456789abcdef
        a private key: -----BEGIN RSA PRIVATE KEY-----
          MIIE
        ");
    }

    #[test]
    fn what_only_sounds_like_a_secret_is_none() {
        for text in [
            "password: \"{{ alert.data.password }}\"",
            "token: steps.login2.json",
            "message: the password: of 5 users was changed",
            "secret: { env: HOOK_SECRET_1 }",
            "title: Basic authentication failed on 10.0.0.1",
            "url: https://ticket.example:8080/api?at=a@b.example",
            "when: '\"authentication_failed\" in alert.rule.groups'",
            "reason: sk-learn is no key",
        ] {
            assert_eq!(check(text), "", "{text}");
        }
    }
}
