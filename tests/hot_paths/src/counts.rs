//! The counts that were accepted, and how others differ from them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// By so many per cent a count may differ, either way.
const TOLERANCE: f64 = 5.0;
/// The same where the compiler or the C library is another one, which alone makes a difference.
const TOLERANCE_WITH_OTHERS: f64 = 25.0;

const HEAD: &str = "\
# Instructions of each hot path, as valgrind's callgrind counts them, and with what they were compiled and linked.
# `cargo run --release -p hot-paths -- --accept` writes this file.
";

/// How many instructions each path takes.
#[derive(Debug, PartialEq)]
pub(crate) struct Counts {
    /// The compiler and the C library: with others, the same source has other counts.
    made_with: String,
    paths: BTreeMap<String, u64>,
}

impl Counts {
    /// No counts yet, with what compiler (`rustc -vV`) and C library (`getconf GNU_LIBC_VERSION`) say of themselves.
    pub(crate) fn new(compiler: &str, library: &str) -> Counts {
        let host = compiler.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let version = compiler.lines().next().unwrap_or_default();
        Counts { made_with: format!("{version}, {host}, {}", library.trim()), paths: BTreeMap::new() }
    }

    pub(crate) fn file() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("counts.txt")
    }

    pub(crate) fn add(&mut self, path: &str, count: u64) {
        self.paths.insert(path.to_owned(), count);
    }

    pub(crate) fn read() -> anyhow::Result<Counts> {
        let file = Counts::file();
        let text =
            std::fs::read_to_string(&file).with_context(|| format!("{} cannot be read", file.display()))?;
        Counts::parse(&text).with_context(|| format!("{} is not as this program writes it", file.display()))
    }

    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let file = Counts::file();
        std::fs::write(&file, self.text()).with_context(|| format!("{} cannot be written", file.display()))
    }

    fn parse(text: &str) -> Option<Counts> {
        let mut lines = text.lines().filter(|line| !line.starts_with('#'));
        let made_with = lines.next()?.to_owned();
        let paths = lines.map(|line| {
            let (count, path) = line.trim_start().split_once(' ')?;
            Some((path.to_owned(), count.parse().ok()?))
        });
        Some(Counts { made_with, paths: paths.collect::<Option<_>>()? })
    }

    fn text(&self) -> String {
        let mut text = format!("{HEAD}{}\n", self.made_with);
        for (path, count) in &self.paths {
            let _ = writeln!(text, "{count:>10} {path}");
        }
        text
    }

    /// What is to be said where newer counts are not the same as these.
    pub(crate) fn changes(&self, newer: &Counts) -> Option<String> {
        let is_same = self.made_with == newer.made_with;
        let tolerance = if is_same { TOLERANCE } else { TOLERANCE_WITH_OTHERS };
        let paths: BTreeSet<&String> = self.paths.keys().chain(newer.paths.keys()).collect();
        let change = |path: &String| match (self.paths.get(path), newer.paths.get(path)) {
            (Some(before), Some(now)) => {
                let by = (*now as f64 / *before as f64 - 1.0) * 100.0;
                (by.abs() > tolerance).then(|| format!("from {before} to {now} instructions, {by:+.1} %"))
            }
            (Some(before), None) => Some(format!("from {before} instructions to none: nobody counts it")),
            (None, _) => Some("is new".to_owned()),
        };
        let lines = paths.into_iter().filter_map(|path| Some(format!("  {path}: {}\n", change(path)?)));
        let lines = lines.collect::<String>();
        if lines.is_empty() {
            return None;
        }
        let mut text = format!("These hot paths have changed by more than {tolerance} per cent:\n{lines}");
        if !is_same {
            let _ = writeln!(
                text,
                "It may not be the source: the file was made with\n  {}\nand this is\n  {}\nCount the commit before yours with this, too.",
                self.made_with, newer.made_with
            );
        }
        text.push_str(
            "If that is meant, `cargo run --release -p hot-paths -- --accept` writes it down: commit tests/hot_paths/counts.txt.",
        );
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    fn counts(version: &str, paths: &[(&str, u64)]) -> Counts {
        let compiler = format!("rustc {version}\nbinary: rustc\nhost: x86_64-unknown-linux-gnu\n");
        let mut counts = Counts::new(&compiler, "glibc 2.36\n");
        paths.iter().for_each(|(path, count)| counts.add(path, *count));
        counts
    }

    #[test]
    fn the_file_says_what_was_counted_with_what() {
        let counts = counts("1.95.0", &[("render a step", 41_000), ("load a playbook", 2_000_000)]);
        assert_eq!(Counts::parse(&counts.text()).as_ref(), Some(&counts));
        assert_snapshot!(counts.text(), @"
        # Instructions of each hot path, as valgrind's callgrind counts them, and with what they were compiled and linked.
        # `cargo run --release -p hot-paths -- --accept` writes this file.
        rustc 1.95.0, x86_64-unknown-linux-gnu, glibc 2.36
           2000000 load a playbook
             41000 render a step
        ");
    }

    #[test]
    fn a_change_either_way_by_more_than_five_per_cent_is_said() {
        let before = counts("1.95.0", &[("a", 1000), ("b", 1000), ("c", 1000), ("d", 1000), ("e", 1)]);
        let now = counts("1.95.0", &[("a", 1050), ("b", 1051), ("c", 950), ("d", 949), ("f", 1)]);
        assert_snapshot!(before.changes(&now).unwrap(), @"
        These hot paths have changed by more than 5 per cent:
          a: from 1000 to 1050 instructions, +5.0 %
          b: from 1000 to 1051 instructions, +5.1 %
          c: from 1000 to 950 instructions, -5.0 %
          d: from 1000 to 949 instructions, -5.1 %
          e: from 1 instructions to none: nobody counts it
          f: is new
        If that is meant, `cargo run --release -p hot-paths -- --accept` writes it down: commit tests/hot_paths/counts.txt.
        ");
    }

    #[test]
    fn another_compiler_is_named_where_a_count_has_changed() {
        let before = counts("1.95.0", &[("a", 1000)]);
        assert_eq!(before.changes(&counts("1.96.0", &[("a", 1250)])), None, "it may be the compiler");
        assert_snapshot!(before.changes(&counts("1.96.0", &[("a", 1260)])).unwrap(), @"
        These hot paths have changed by more than 25 per cent:
          a: from 1000 to 1260 instructions, +26.0 %
        It may not be the source: the file was made with
          rustc 1.95.0, x86_64-unknown-linux-gnu, glibc 2.36
        and this is
          rustc 1.96.0, x86_64-unknown-linux-gnu, glibc 2.36
        Count the commit before yours with this, too.
        If that is meant, `cargo run --release -p hot-paths -- --accept` writes it down: commit tests/hot_paths/counts.txt.
        ");
    }
}
