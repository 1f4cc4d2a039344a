//! A text that a sender has to know.

use std::fmt;

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A text that a sender has to know, kept as its SHA-256: it can be recognized and not read back.
///
/// Digests are what is compared, in constant time, so that neither the length nor a common prefix shows.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// This text, without white space around it: a header could not carry that. An empty one is known to nobody.
    pub fn new(text: &str) -> Secret {
        Secret(Sha256::digest(text.trim().as_bytes()).into())
    }

    /// Whether this is the text.
    pub(crate) fn is(&self, given: &[u8]) -> bool {
        !given.is_empty() && bool::from(Sha256::digest(given).as_slice().ct_eq(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_knows_its_text_and_does_not_show_it() {
        let secret = Secret::new(" hunter2\n");
        assert!(secret.is(b"hunter2"));
        assert!(!secret.is(b"hunter") && !secret.is(b"hunter22") && !secret.is(b""));
        assert_eq!(format!("{secret:?}"), "***");
    }

    #[test]
    fn an_empty_secret_lets_nobody_in() {
        assert!(!Secret::new(" ").is(b""));
        assert!(!Secret::new("").is(b" "));
    }
}
