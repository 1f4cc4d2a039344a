//! Names of things: runs, steps, and content by its hash.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::time::Timestamp;

/// A text that is not the id it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidId {
    /// What was expected, for example `a run id`.
    pub expected: &'static str,
    /// The text that was given.
    pub given: String,
}

impl fmt::Display for InvalidId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` is not {}", self.given.escape_debug(), self.expected)
    }
}

impl std::error::Error for InvalidId {}

/// Names one run; a UUID of version 7, so ids sort by the time at which their runs started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(Uuid);

impl RunId {
    /// The run with this UUID.
    pub const fn new(uuid: Uuid) -> RunId {
        RunId(uuid)
    }

    /// The sixteen bytes of the id, big-endian: their order is the order of the ids.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was made, as the first bytes of a UUID of version 7 say.
    pub fn made_at(&self) -> Timestamp {
        let millis = self.as_bytes().iter().take(6).fold(0, |millis, byte| millis << 8 | i64::from(*byte));
        Timestamp::from_millis(millis)
    }

    /// The id with the marks of a UUID of version 7 in the bits where these stand.
    #[must_use]
    pub fn of_version_7(self) -> RunId {
        let builder = uuid::Builder::from_bytes(self.0.into_bytes());
        RunId(builder.with_version(uuid::Version::SortRand).with_variant(uuid::Variant::RFC4122).into_uuid())
    }

    /// The run with these sixteen bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> RunId {
        RunId(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for RunId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<RunId, InvalidId> {
        let invalid = |_| InvalidId { expected: "a run id (a UUID)", given: text.chars().take(80).collect() };
        Uuid::try_parse(text).map(RunId).map_err(invalid)
    }
}

/// Names one step of a workflow: `[a-z][a-z0-9_]*`, at most 64 characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepId(Arc<str>);

impl StepId {
    /// The most characters that an id has.
    pub const MAX_LENGTH: usize = 64;

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for StepId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<StepId, InvalidId> {
        let well_formed = text.starts_with(|c: char| c.is_ascii_lowercase())
            && text.len() <= StepId::MAX_LENGTH
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !well_formed {
            let given = text.chars().take(80).collect();
            return Err(InvalidId { expected: "an id ([a-z][a-z0-9_]*, at most 64 characters)", given });
        }
        Ok(StepId(text.into()))
    }
}

impl TryFrom<String> for StepId {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<StepId, InvalidId> {
        text.parse()
    }
}

impl From<StepId> for String {
    fn from(id: StepId) -> String {
        id.0.as_ref().to_owned()
    }
}

/// Names one execution of a step within its run: `block`, or `block[3]` for an item of a foreach; `block.undo` and
/// `block[3].undo` for what undoes it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StepKey {
    /// The step of the workflow.
    pub step: StepId,
    /// Which item, where the step runs once for each item of a list.
    pub item: Option<u32>,
    /// Whether it undoes what the step did.
    pub is_undo: bool,
}

impl StepKey {
    /// What undoes this.
    #[must_use]
    pub fn undo(&self) -> StepKey {
        StepKey { is_undo: true, ..self.clone() }
    }

    /// What this undoes, or the step itself.
    #[must_use]
    pub fn done(&self) -> StepKey {
        StepKey { is_undo: false, ..self.clone() }
    }
}

impl From<StepId> for StepKey {
    fn from(step: StepId) -> StepKey {
        StepKey { step, item: None, is_undo: false }
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.step.as_str())?;
        if let Some(item) = self.item {
            write!(f, "[{item}]")?;
        }
        if self.is_undo { f.write_str(UNDO) } else { Ok(()) }
    }
}

const UNDO: &str = ".undo";

impl FromStr for StepKey {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<StepKey, InvalidId> {
        let (done, is_undo) = text.strip_suffix(UNDO).map_or((text, false), |done| (done, true));
        let Some((step, rest)) = done.split_once('[') else {
            return Ok(StepKey { is_undo, ..StepKey::from(done.parse::<StepId>()?) });
        };
        let item = rest.strip_suffix(']').and_then(|digits| digits.parse().ok());
        let given = || text.chars().take(80).collect();
        let item =
            item.ok_or_else(|| InvalidId { expected: "a step (`name` or `name[3]`)", given: given() })?;
        Ok(StepKey { step: step.parse()?, item: Some(item), is_undo })
    }
}

impl TryFrom<String> for StepKey {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<StepKey, InvalidId> {
        text.parse()
    }
}

impl From<StepKey> for String {
    fn from(key: StepKey) -> String {
        key.to_string()
    }
}

/// A SHA-256 in lower-case hex: names a workflow source, a node description or an approved request by its content.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(Arc<str>);

impl Digest {
    /// The digest made of these 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Digest {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Digest(hex.into())
    }

    /// The 64 hex digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Digest, InvalidId> {
        let well_formed = text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed {
            return Err(InvalidId {
                expected: "a SHA-256 in lower-case hex",
                given: text.chars().take(80).collect(),
            });
        }
        Ok(Digest(text.into()))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidId;

    fn try_from(text: String) -> Result<Digest, InvalidId> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> String {
        digest.0.as_ref().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_key_reads_what_it_writes() {
        for text in ["block", "block[0]", "a_1[17]", "block.undo", "block[3].undo"] {
            assert_eq!(text.parse::<StepKey>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn an_id_that_is_not_one_says_what_was_expected() {
        let message = |text: &str| text.parse::<StepKey>().unwrap_err().to_string();
        assert_eq!(message("Block"), "`Block` is not an id ([a-z][a-z0-9_]*, at most 64 characters)");
        assert_eq!(message("block[x]"), "`block[x]` is not a step (`name` or `name[3]`)");
        assert_eq!(
            "../etc\n".parse::<RunId>().unwrap_err().to_string(),
            "`../etc\\n` is not a run id (a UUID)"
        );
    }
}
