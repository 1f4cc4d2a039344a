//! How long each hot path takes.
//!
//! `cargo bench -p hot-paths`

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for path in hot_paths::all() {
        let mut work = (path.prepare)();
        criterion.bench_function(path.name, |bencher| bencher.iter(&mut work));
    }
    criterion.final_summary();
}
