//! The chain of hashes over all records: each record's link covers everything before it.

use sha2::{Digest, Sha256};

use crate::record::Key;

pub(crate) type Link = [u8; 32];

/// The link before the first record.
pub(crate) const START: Link = [0; 32];

pub(crate) fn digest(payload: &[u8]) -> Link {
    Sha256::digest(payload).into()
}

/// The link of the record with this key and payload digest, behind `before`.
pub(crate) fn next(before: &Link, key: Key, payload: &Link) -> Link {
    let mut hash = Sha256::new();
    hash.update(before);
    hash.update(key.run);
    hash.update(key.seq.to_le_bytes());
    hash.update(payload);
    hash.finalize().into()
}
