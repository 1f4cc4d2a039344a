//! Counts the instructions of each hot path, and compares them with those in `counts.txt`.
//!
//! It runs itself once for each path below valgrind's callgrind, which sees what `counted` does and nothing else. There is no
//! clock in the paths, valgrind gives each process the same addresses, and `same_keys.c` the same keys to hash maps: so
//! the same program has the same counts.

#![expect(clippy::print_stdout, reason = "figures are what it is for")]

mod counts;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context as _, bail, ensure};
use hot_paths::Work;

use crate::counts::Counts;

const WARM_UP: u64 = 3;
const ROUNDS: u64 = 10;
const SAME_KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/same_keys.c");
const KEYS: &str = "same_keys.so";
/// Where callgrind writes what it saw, beside the program.
const FOLDER: &str = "hot-paths.callgrind";

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["--work", name] => work(name)?,
        ["--accept"] => {
            count_all()?.write()?;
            println!("written: {}", Counts::file().display());
        }
        [] => {
            if let Some(changes) = Counts::read()?.changes(&count_all()?) {
                println!("\n{changes}");
                return Ok(ExitCode::FAILURE);
            }
        }
        _ => bail!("it takes nothing, or `--accept`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes the path with this name. What is made once in a process is made before anything is counted.
fn work(name: &str) -> anyhow::Result<()> {
    let path = hot_paths::all().into_iter().find(|path| path.name == name);
    let mut work = (path.with_context(|| format!("there is no path `{name}`"))?.prepare)();
    (0..WARM_UP).for_each(|_| work());
    (0..ROUNDS).for_each(|_| counted(&mut work));
    Ok(())
}

#[inline(never)]
fn counted(work: &mut Work) {
    work();
}

fn count_all() -> anyhow::Result<Counts> {
    let program = std::env::current_exe()?;
    let folder = program.with_file_name(FOLDER);
    std::fs::create_dir_all(&folder)?;
    let keys = folder.join(KEYS);
    say(Command::new("cc").args(["-shared", "-fPIC", "-O1", SAME_KEYS, "-o"]).arg(keys))?;
    let compiler = say(Command::new("rustc").arg("-vV"))?;
    let library = say(Command::new("getconf").arg("GNU_LIBC_VERSION"))?;
    let mut counts = Counts::new(&compiler, &library);
    for path in hot_paths::all().iter().filter(|path| path.is_counted) {
        let count = count(path.name, &program)?;
        println!("{count:>10} {}", path.name);
        counts.add(path.name, count);
    }
    println!("`callgrind_annotate` shows where they are spent: {}", folder.display());
    Ok(counts)
}

/// How many instructions the path takes, on average. Arguments and environment lie on the stack and move what else does:
/// they are the same wherever the program is.
fn count(name: &str, program: &Path) -> anyhow::Result<u64> {
    let (folder, file) = program.parent().zip(program.file_name()).context("the program is in no folder")?;
    let out = Path::new(FOLDER).join(name.replace(|c: char| !c.is_ascii_alphanumeric(), "_"));
    let mut valgrind = Command::new("valgrind");
    valgrind
        .current_dir(folder)
        .args(["--tool=callgrind", "--quiet", "--toggle-collect=*counted*"])
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(Path::new(".").join(file))
        .args(["--work", name])
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("LD_PRELOAD", Path::new(FOLDER).join(KEYS));
    say(&mut valgrind)?;
    let out = folder.join(out);
    let counted =
        std::fs::read_to_string(&out).with_context(|| format!("{} cannot be read", out.display()))?;
    let sum = counted.lines().find_map(|line| line.strip_prefix("summary: ")?.trim().parse::<u64>().ok());
    let sum = sum.filter(|sum| *sum > 0).with_context(|| format!("{} holds no sum", out.display()))?;
    Ok(sum / ROUNDS)
}

/// What a program says.
fn say(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().with_context(|| {
        format!("`{name}` cannot be started: on Debian and Ubuntu, `apt-get install valgrind gcc` brings what it takes")
    })?;
    ensure!(
        ran.status.success(),
        "`{name}` ends with {}: {}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
    Ok(String::from_utf8(ran.stdout)?)
}
