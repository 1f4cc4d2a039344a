use proptest::collection::vec;
use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};
use proptest::sample::Index;

use super::*;
use crate::chain;
use crate::record::{Draft, Key};

const SEGMENT: u32 = 7;

/// A segment with these payloads, `rest` behind them; with the offsets of the records.
fn segment(payloads: &[Vec<u8>], flushes: &[bool], rest: usize) -> (Vec<u8>, Vec<u32>) {
    let mut bytes = vec![0; RECORDS as usize];
    let mut link = chain::START;
    let mut offsets = Vec::new();
    for (seq, payload) in payloads.iter().enumerate() {
        let key = key(seq);
        let at = Position::new(SEGMENT, clip(bytes.len()));
        let flags = if flushes.get(seq).is_none_or(|flushed| *flushed) { FIRST } else { 0 };
        offsets.push(at.offset());
        link = Draft::new(key, payload.clone()).encode(at, flags, &link, &mut bytes);
    }
    bytes.resize(bytes.len() + rest, 0);
    (bytes, offsets)
}

fn key(seq: usize) -> Key {
    Key { run: [3; 16], seq: clip(seq) }
}

/// The payloads of whole records, by their offsets.
fn payloads(bytes: &[u8], found: &[Found]) -> Vec<(u32, Vec<u8>)> {
    let whole = |thing: &Found| match thing {
        Found::Whole { at, frame, .. } => {
            let (_, payload) = frame.body(&bytes[at.offset() as usize..], *at).unwrap();
            Some((at.offset(), payload.to_vec()))
        }
        Found::Hole { .. } => None,
    };
    found.iter().filter_map(whole).collect()
}

/// Payloads, among them ones that hold a record of this segment.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let forged = (0_u32..4000, vec(any::<u8>(), 0..40)).prop_map(|(offset, payload)| {
        let mut bytes = Vec::new();
        let at = Position::new(SEGMENT - 1, offset * 8);
        Draft::new(key(0), payload).encode(at, FIRST, &chain::START, &mut bytes);
        bytes
    });
    proptest::prop_oneof![3 => vec(any::<u8>(), 0..300), 1 => forged]
}

proptest! {
    #[test]
    fn whatever_is_damaged_only_what_was_written_is_found(
        payloads_in in vec(payload(), 1..12),
        flushes in vec(any::<bool>(), 12),
        rest in 0_usize..200,
        damage in vec((any::<Index>(), vec(any::<u8>(), 1..90)), 0..4),
        cut in any::<Index>(),
        is_cut in any::<bool>(),
        is_exact in any::<bool>(),
    ) {
        let (mut bytes, offsets) = segment(&payloads_in, &flushes, rest);
        for (place, junk) in damage {
            let place = place.index(bytes.len());
            let end = (place + junk.len()).min(bytes.len());
            bytes[place..end].copy_from_slice(&junk[..end - place]);
        }
        if is_cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        let found = walk(&bytes, SEGMENT, RECORDS, is_exact);
        prop_assert!(found.is_sorted_by(|a, b| a.end() <= b.offset()), "things do not overlap");
        for (offset, payload) in payloads(&bytes, &found) {
            let written = offsets.iter().position(|known| *known == offset);
            prop_assert_eq!(written.map(|index| &payloads_in[index]), Some(&payload));
        }
        let settled = settle(found);
        prop_assert!(settled.end as usize <= bytes.len() + 400);
        for offset in offsets {
            let _ = record_at(&bytes, Position::new(SEGMENT, offset));
        }
    }

    #[test]
    fn a_flipped_byte_costs_at_most_the_record_it_hits(
        payloads_in in vec(vec(any::<u8>(), 0..200), 1..8),
        place in any::<Index>(),
        mask in 1_u8..,
    ) {
        let (mut bytes, offsets) = segment(&payloads_in, &[], 0);
        let place = place.index(bytes.len());
        bytes[place] ^= mask;
        let found = walk(&bytes, SEGMENT, RECORDS, true);
        let hit = offsets.iter().rposition(|offset| *offset as usize <= place);
        let mut left = payloads(&bytes, &found).into_iter().map(|(_, payload)| payload);
        for (index, payload) in payloads_in.iter().enumerate() {
            let is_named = found.iter().any(|thing| {
                matches!(thing, Found::Hole { damage, .. } if damage.key == Some(key(index)))
            });
            if !(Some(index) == hit && is_named) {
                prop_assert_eq!(left.next(), Some(payload.clone()));
            }
        }
        prop_assert_eq!(left.next(), None);
    }
}

#[test]
fn records_of_an_earlier_life_are_not_found() {
    let (bytes, _) = segment(&vec![vec![1; 50]; 5], &[], 0);
    assert_eq!(walk(&bytes, SEGMENT + 1, RECORDS, false), []);
}

#[test]
fn a_hole_in_the_last_flush_is_the_end() {
    let payloads = vec![vec![1; 50]; 6];
    let (mut bytes, offsets) = segment(&payloads, &[true, false, true, false, false, false], 0);
    bytes[offsets[3] as usize + 80] ^= 1;
    let settled = settle(walk(&bytes, SEGMENT, RECORDS, false));
    assert_eq!((settled.found.len(), settled.end), (3, offsets[3]));
    assert_eq!((settled.dropped, settled.has_traces), (2, true));
}

#[test]
fn a_hole_before_the_last_flush_is_damage() {
    let payloads = vec![vec![1; 50]; 6];
    let (mut bytes, offsets) = segment(&payloads, &[true, false, false, false, true, false], 0);
    bytes[offsets[1] as usize + 80] ^= 1;
    let settled = settle(walk(&bytes, SEGMENT, RECORDS, false));
    assert_eq!((settled.found.len(), settled.dropped), (6, 0));
    assert_eq!(settled.found[1].frame().map(|frame| frame.key), Some(key(1)));
}
