use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tempfile::TempDir;

use super::*;
use crate::power::{Call, Chance, Guarded, Recorder, Survivors};
use crate::read::Scanned;
use crate::record::Key;

const PATIENCE: Duration = Duration::from_secs(60);

const SMALL: u32 = 8192;

fn small() -> Settings {
    Settings { segment_bytes: SMALL, ..Settings::default() }
}

fn open(folder: &Path) -> Journal {
    let opened = Journal::open(folder, small()).unwrap();
    assert_eq!(opened.findings, [] as [String; 0]);
    opened.journal
}

fn key(seq: u32) -> Key {
    Key { run: [1; 16], seq }
}

fn draft(seq: u32) -> Draft {
    let text = format!("payload {seq} ").repeat(1 + seq as usize % 40);
    Draft::new(key(seq), text.into_bytes())
}

/// Appends the records with these numbers; durable when it returns.
fn fill(journal: &Journal, seqs: std::ops::Range<u32>) -> Vec<Position> {
    let positions: Vec<Position> = seqs.map(|seq| journal.append(&draft(seq)).unwrap()).collect();
    if let Some(last) = positions.last() {
        journal.durable(*last).unwrap();
    }
    positions
}

/// The numbers of all records, and what else a scan comes across.
fn scan(journal: &Journal) -> (Vec<u32>, Vec<Scanned>) {
    let mut seqs = Vec::new();
    let mut others = Vec::new();
    for thing in journal.scan(Position::default()) {
        match thing.unwrap() {
            Scanned::Record(record) => {
                assert_eq!(record.payload, payload(record.key.seq));
                seqs.push(record.key.seq);
            }
            other @ (Scanned::Damage(_) | Scanned::Break(_)) => others.push(other),
        }
    }
    (seqs, others)
}

fn payload(seq: u32) -> Vec<u8> {
    format!("payload {seq} ").repeat(1 + seq as usize % 40).into_bytes()
}

fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|e| e == extension)).collect();
    files.sort();
    files
}

#[test]
fn what_is_appended_is_read_by_position_and_in_order() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let positions = fill(&journal, 0..200);
    assert!(positions.is_sorted_by(|a, b| a < b));
    assert!(positions.last().unwrap().segment() > 3, "the records fill several segments");
    for (seq, position) in (0..).zip(&positions) {
        let record = journal.read(*position).unwrap();
        assert_eq!((record.key, record.payload), (key(seq), payload(seq)));
    }
    assert_eq!(scan(&journal), ((0..200).collect(), vec![]));
    let behind = journal.scan(positions[150]).count();
    assert_eq!(behind, 50);
}

#[test]
fn a_journal_goes_on_where_it_was_closed() {
    let folder = TempDir::new().unwrap();
    let mut next = 0;
    for round in 1..30 {
        let journal = open(folder.path());
        assert_eq!(scan(&journal), ((0..next).collect(), vec![]));
        let positions: Vec<Position> =
            (next..next + round).map(|seq| journal.append(&draft(seq)).unwrap()).collect();
        next += round;
        assert_eq!(journal.read(positions[0]).unwrap().key, key(next - round), "reading waits for the flush");
    }
    let journal = open(folder.path());
    let used: u32 = 29 + next * 500 / SMALL;
    assert!(journal.segments().len() < used as usize, "starting costs no segment");
}

#[test]
fn whoever_waits_for_a_later_record_waits_for_all_before() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let first = journal.append(&draft(0)).unwrap();
    let second = journal.append(&draft(1)).unwrap();
    journal.durable(second).unwrap();
    assert!(journal.flushed() > first);
    journal.durable(first).unwrap();
    journal.durable(Position::default()).unwrap();
    journal.durable(Position::new(1000, 0)).unwrap();
}

#[test]
fn a_record_that_nobody_waits_for_is_flushed_by_and_by() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let position = journal.append(&draft(0)).unwrap();
    let flushed = journal.next_flush(position, PATIENCE).unwrap();
    assert!(flushed > position);
}

#[test]
fn a_retired_segment_becomes_a_spare_and_its_records_are_gone() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let positions = fill(&journal, 0..300);
    let last = positions[299].segment();
    for number in 1..last {
        journal.retire(number).unwrap();
    }
    assert!(matches!(journal.retire(last), Err(Error::Gone(_))), "the last segment stays");
    assert!(matches!(journal.read(positions[0]), Err(Error::Gone(_))));
    let left: Vec<u32> =
        (0..).zip(&positions).filter(|(_, at)| at.segment() == last).map(|(seq, _)| seq).collect();
    assert_eq!(scan(&journal).0, left);
    assert!(files(folder.path(), "spare").len() <= 4, "a bounded number of files is kept");
    fill(&journal, 300..600);
    let expected: Vec<u32> = left.into_iter().chain(300..600).collect();
    assert_eq!(scan(&journal), (expected.clone(), vec![]), "old records in recycled files are not seen");
    drop(journal);
    assert_eq!(scan(&open(folder.path())), (expected, vec![]));
}

#[test]
fn a_second_process_is_told_who_holds_the_journal() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let message = Journal::open(folder.path(), small()).err().unwrap().to_string();
    assert!(message.contains(&format!("process {} on ", std::process::id())), "{message}");
    drop(journal);
    open(folder.path());
}

#[test]
fn a_record_that_fits_into_no_segment_is_refused() {
    let folder = TempDir::new().unwrap();
    let journal = open(folder.path());
    let most = small().largest_payload();
    let position = journal.append(&Draft::new(key(0), vec![7; most])).unwrap();
    assert_eq!(journal.read(position).unwrap().payload.len(), most);
    let answer = journal.append(&Draft::new(key(1), vec![7; most + 16]));
    assert!(matches!(answer, Err(Error::TooLarge { .. })), "{answer:?}");
}

#[test]
fn every_flipped_byte_costs_at_most_its_record_and_is_reported() {
    let folder = TempDir::new().unwrap();
    let positions = fill(&open(folder.path()), 0..60);
    let segments = files(folder.path(), "segment");
    assert!(segments.len() > 2);
    for path in segments {
        let whole = fs::read(&path).unwrap();
        for place in (0..whole.len()).step_by(29) {
            let mut bytes = whole.clone();
            bytes[place] ^= 0x41;
            fs::write(&path, &bytes).unwrap();
            check_after_a_flip(folder.path(), &positions, &path, place);
        }
        fs::write(&path, whole).unwrap();
    }
}

fn check_after_a_flip(folder: &Path, positions: &[Position], path: &Path, place: usize) {
    let journal = Journal::open(folder, small()).unwrap().journal;
    let (seqs, others) = scan(&journal);
    let lost: Vec<u32> = (0..60).filter(|seq| !seqs.contains(seq)).collect();
    let named: Vec<u32> = others
        .iter()
        .filter_map(|thing| match thing {
            Scanned::Damage(damage) => Some(damage.key.unwrap().seq),
            Scanned::Record(_) | Scanned::Break(_) => None,
        })
        .collect();
    assert_eq!(lost, named, "{} {place}", path.display());
    assert!(lost.len() <= 1);
    for (seq, position) in (0..).zip(positions) {
        let record = journal.read(*position);
        assert_eq!(record.is_err(), lost.contains(&seq), "{} {place}: {record:?}", path.display());
    }
}

#[test]
fn a_record_that_was_exchanged_breaks_the_chain() {
    let folder = TempDir::new().unwrap();
    let positions = fill(&open(folder.path()), 0..5);
    let path = &files(folder.path(), "segment")[0];
    let mut bytes = fs::read(path).unwrap();
    let mut forged = Vec::new();
    let forgery = Draft::new(key(2), vec![b'!'; payload(2).len()]);
    forgery.encode(positions[2], crate::record::FIRST, &[0; 32], &mut forged);
    let start = positions[2].offset() as usize;
    bytes[start..start + forged.len()].copy_from_slice(&forged);
    fs::write(path, bytes).unwrap();
    let journal = open(folder.path());
    let breaks = journal.scan(Position::default()).filter_map(|thing| match thing.unwrap() {
        Scanned::Break(at) => Some(at),
        Scanned::Record(_) | Scanned::Damage(_) => None,
    });
    assert_eq!(breaks.collect::<Vec<_>>(), [positions[2], positions[3]]);
}

#[test]
fn a_truncated_tail_costs_what_was_cut_off() {
    let folder = TempDir::new().unwrap();
    let positions = fill(&open(folder.path()), 0..12);
    let path = &files(folder.path(), "segment")[0];
    let whole = fs::read(path).unwrap();
    for cut in (0..whole.len()).step_by(13) {
        fs::write(path, &whole[..cut]).unwrap();
        let journal = Journal::open(folder.path(), small()).unwrap().journal;
        let (seqs, others) = scan(&journal);
        let left = positions.iter().zip(1..).filter(|(at, seq)| {
            let next = positions.get(*seq as usize).map_or(whole.len(), |next| next.offset() as usize);
            at.offset() as usize + draft(seq - 1).bytes() <= cut.min(next)
        });
        assert!(seqs.len() >= left.count(), "cut at {cut}: {seqs:?}");
        assert_eq!((seqs.clone(), others), ((0..seqs.len() as u32).collect(), vec![]), "cut at {cut}");
        let next = seqs.len() as u32;
        fill(&journal, next..next + 3);
        drop(journal);
        assert_eq!(scan(&open_again(folder.path())), ((0..next + 3).collect(), vec![]), "cut at {cut}");
        for path in files(folder.path(), "segment").iter().chain(&files(folder.path(), "spare")) {
            fs::remove_file(path).unwrap();
        }
    }
}

fn open_again(folder: &Path) -> Journal {
    Journal::open(folder, small()).unwrap().journal
}

#[test]
fn a_failed_flush_stops_the_journal_for_good() {
    for call in [Call::Write, Call::Flush] {
        let folder = TempDir::new().unwrap();
        let is_broken = Arc::new(AtomicBool::new(false));
        let disk = {
            let is_broken = Arc::clone(&is_broken);
            Guarded::new(move |asked, path| {
                let hit = asked == call && path.extension().is_some_and(|e| e == "segment");
                let hit = hit && is_broken.swap(false, Ordering::Relaxed);
                if hit { Err(io::Error::other("the disk is broken")) } else { Ok(()) }
            })
        };
        let journal = Journal::open_on(Arc::new(disk), folder.path(), small()).unwrap().journal;
        let safe = fill(&journal, 0..3);
        is_broken.store(true, Ordering::Relaxed);
        let position = journal.append(&draft(3)).unwrap();
        let answer = journal.durable(position).unwrap_err().to_string();
        assert!(answer.contains("the disk is broken"), "{answer}");
        assert!(
            matches!(journal.durable(position), Err(Error::Stopped(_))),
            "the disk works again, the journal does not"
        );
        assert!(matches!(journal.append(&draft(4)), Err(Error::Stopped(_))));
        assert!(journal.durable(safe[2]).is_ok(), "what was safe is safe");
        assert_eq!(journal.next_flush(position, PATIENCE), None);
        assert!(journal.close().is_err());
        drop(journal);
        let seqs = scan(&open_again(folder.path())).0;
        assert!(seqs.len() >= 3, "{seqs:?}");
    }
}

#[test]
fn a_full_disk_refuses_the_append_and_nothing_else() {
    let folder = TempDir::new().unwrap();
    let left = Arc::new(AtomicUsize::new(2));
    let disk = {
        let left = Arc::clone(&left);
        Guarded::new(move |call, _| {
            let take = |left: usize| left.checked_sub(1);
            if call == Call::Create && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err()
            {
                return Err(io::Error::from(io::ErrorKind::StorageFull));
            }
            Ok(())
        })
    };
    let journal = Journal::open_on(Arc::new(disk), folder.path(), small()).unwrap().journal;
    let mut last = Position::default();
    let mut next = 0;
    let why = loop {
        match journal.append(&draft(next)) {
            Ok(position) => (last, next) = (position, next + 1),
            Err(error) => break error,
        }
    };
    assert!(matches!(why, Error::Full(_)), "{why}");
    journal.durable(last).unwrap();
    assert_eq!(last.segment(), 2, "two segments fit");
    assert!(matches!(journal.append(&draft(next)), Err(Error::Full(_))), "it is still full");
    left.store(1, Ordering::Relaxed);
    while journal.append(&draft(next)).is_err() {}
    drop(journal);
    assert_eq!(scan(&open(folder.path())), ((0..=next).collect(), vec![]));
}

#[test]
fn a_power_cut_costs_nothing_that_was_durable() {
    let mut cuts: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..24 {
        let mut chance = Chance::new(seed);
        let folder = TempDir::new().unwrap();
        let recorder = Recorder::default();
        let durable = record(&recorder, folder.path(), &mut chance);
        for survivors in [Survivors::Nothing, Survivors::Prefix, Survivors::Pages] {
            for _ in 0..4 {
                let moment = chance.below(recorder.moment() + 1);
                let safe = durable.iter().rev().find(|(at, _)| *at <= moment).map_or(0, |(_, next)| *next);
                let left = TempDir::new().unwrap();
                recorder.cut(moment, survivors, &mut chance, folder.path(), left.path());
                check_after_a_cut(left.path(), safe, &mut chance);
                *cuts.entry(format!("{survivors:?}")).or_default() += 1;
            }
        }
    }
    assert!(cuts.values().all(|count| *count >= 24), "{cuts:?}");
}

/// Appends, retires nothing, waits now and then; gives the moments from which on so many records were durable.
fn record(recorder: &Recorder, folder: &Path, chance: &mut Chance) -> Vec<(usize, u32)> {
    let mut durable = Vec::new();
    let mut next = 0;
    for _ in 0..3 {
        let journal = Journal::open_on(Arc::new(recorder.clone()), folder, small()).unwrap().journal;
        for _ in 0..20 {
            for _ in 0..chance.below(12) {
                journal.append(&draft(next)).unwrap();
                next += 1;
            }
            journal.durable(Position::new(u32::MAX, 0)).unwrap();
            durable.push((recorder.moment(), next));
        }
    }
    durable
}

fn check_after_a_cut(folder: &Path, safe: u32, chance: &mut Chance) {
    let journal = open_again(folder);
    let (seqs, others) = scan(&journal);
    assert_eq!(others, [], "a torn tail is no damage");
    assert_eq!(seqs, (0..seqs.len() as u32).collect::<Vec<_>>(), "what is left is a prefix");
    assert!(seqs.len() as u32 >= safe, "{} of {safe} durable records are left", seqs.len());
    let mut next = seqs.len() as u32;
    for _ in 0..2 {
        let more = 1 + chance.below(30) as u32;
        fill(&journal, next..next + more);
        next += more;
    }
    drop(journal);
    let journal = open(folder);
    assert_eq!(
        scan(&journal),
        ((0..next).collect(), vec![]),
        "what comes later is not confused by what was torn"
    );
}
