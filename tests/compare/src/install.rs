//! Peers come from npm, once, into a folder of the build; nothing is installed for the machine.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, bail};
use tokio::process::Command;

use crate::say;

/// Where peers are installed.
pub(crate) struct Cache {
    folder: PathBuf,
    sources: PathBuf,
}

impl Cache {
    /// The folder `compare/peers` beside the profile's folder of this program.
    pub(crate) fn new() -> anyhow::Result<Cache> {
        let program = std::env::current_exe()?;
        let target =
            program.parent().and_then(Path::parent).context("the program stands in a target folder")?;
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        Ok(Cache { folder: target.join("compare/peers"), sources })
    }

    /// What is in git of a peer.
    pub(crate) fn source(&self, name: &str) -> PathBuf {
        self.sources.join(name)
    }

    /// Installs what a peer's package.json pins, if it is not there; gives the folder. `built` names packages that need
    /// their install script; no other script is run.
    pub(crate) async fn install(&self, name: &str, built: &[&str]) -> anyhow::Result<PathBuf> {
        let folder = self.folder.join(name);
        let done = folder.join("installed.json");
        std::fs::create_dir_all(&folder)?;
        for file in std::fs::read_dir(self.source(name))? {
            let file = file?;
            std::fs::copy(file.path(), folder.join(file.file_name()))?;
        }
        std::fs::copy(self.source("world.ts"), folder.join("world.ts"))?;
        let wanted = std::fs::read(folder.join("package.json"))?;
        if std::fs::read(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(folder);
        }
        say(format_args!("installing {name} into {} ...", folder.display()));
        let mut arguments =
            vec!["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
        arguments.push("--ignore-scripts");
        self.npm(&folder, &arguments).await?;
        if !built.is_empty() {
            self.npm(&folder, &[&["rebuild", "--loglevel=error"], built].concat()).await?;
        }
        std::fs::write(done, wanted)?;
        Ok(folder)
    }

    async fn npm(&self, folder: &Path, arguments: &[&str]) -> anyhow::Result<()> {
        let mut command = Command::new("npm");
        command.args(arguments).current_dir(folder).env("PATH", self.path()).kill_on_drop(true);
        let output = command.stdin(Stdio::null()).output().await.context("cannot start npm")?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("it says nothing");
            bail!("npm {}: {first}", arguments.first().copied().unwrap_or_default());
        }
        Ok(())
    }

    /// The Node that everyone runs on.
    pub(crate) fn node(&self) -> PathBuf {
        self.folder.join("node/node_modules/node/bin/node")
    }

    /// A search path on which that Node comes first.
    fn path(&self) -> String {
        let bin = self.folder.join("node/node_modules/node/bin");
        format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default())
    }

    /// A program for that Node, in production mode.
    pub(crate) fn run(&self, script: &Path) -> Command {
        let mut command = Command::new(self.node());
        command.arg(script).env("NODE_ENV", "production").env("PATH", self.path());
        command
    }

    /// The version that a peer's package.json pins.
    pub(crate) fn version(&self, name: &str, package: &str) -> String {
        let text = std::fs::read_to_string(self.source(name).join("package.json")).unwrap_or_default();
        let file: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        let version = file.pointer("/dependencies").and_then(|all| all.get(package)?.as_str());
        version.unwrap_or("?").to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_pins_exact_versions() {
        let cache = Cache::new().unwrap();
        let packages = [
            ("node", "node"),
            ("n8n", "n8n"),
            ("restate", "@restatedev/restate-server"),
            ("restate", "@restatedev/restate-sdk"),
            ("dbos", "@dbos-inc/dbos-sdk"),
            ("node-red", "node-red"),
        ];
        for (name, package) in packages {
            let version = cache.version(name, package);
            assert_eq!(
                version.split('.').filter_map(|part| part.parse::<u32>().ok()).count(),
                3,
                "{package} {version}"
            );
        }
    }
}
