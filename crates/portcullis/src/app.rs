//! Wiring: from the configuration to a runner over a store and connections.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use async_trait::async_trait;
use model::{Failure, FailureClass, Outcome};
use nodes::{Call, Nodes, Recipes};
use runner::guard::{Guardrails, recent_disruptions};
use runner::{Executor, Runner, Workflows};
use store_sled::SledStore;
use tokio::runtime::Handle;
use tracing::warn;
use workflow::{Catalog, Draft, Workflow};

use crate::directory::Agents;
use crate::missed::MissedAlerts;
use crate::playbooks::Playbooks;
use crate::settings::{Folders, Settings};

/// How deep folders of nodes and workflows are looked through, and how many files they may hold.
const DEEPEST_FOLDER: usize = 4;
const MOST_FILES: usize = 10_000;

/// Everything that the configuration names, read and checked.
pub(crate) struct App {
    pub(crate) settings: Settings,
    /// How the store uses this machine.
    pub(crate) store: store_sled::Settings,
    /// Where runs are driven; none: where everything else is done.
    pub(crate) drivers: Option<Handle>,
    folders: Folders,
    catalog: Catalog,
    recipes: Recipes,
}

impl App {
    /// Reads the configuration and the nodes that it names.
    pub(crate) fn read(config: &Path) -> anyhow::Result<App> {
        let folders = Folders::read(config)?;
        let (catalog, recipes) = read_nodes(&folders.nodes)?;
        let settings = Settings::read(config, &recipes)?;
        Ok(App { settings, store: store_sled::Settings::default(), drivers: None, folders, catalog, recipes })
    }

    /// The files of playbooks and nodes that the configuration names.
    pub(crate) fn playbooks(&self) -> Playbooks {
        Playbooks::new(self.folders.clone(), self.catalog.clone())
    }

    /// Those who perform calls over the connections.
    pub(crate) fn nodes(&self) -> anyhow::Result<Arc<Nodes>> {
        Ok(Arc::new(Nodes::new(&self.recipes, &self.settings.connections)?))
    }

    /// Opens the store, and drives what is in there.
    pub(crate) async fn open(&self, workflows: Workflows, nodes: Arc<Nodes>) -> anyhow::Result<Runner> {
        warn_of_missing_connections(&nodes, workflows.iter());
        let (path, settings) = (self.settings.data_dir.clone(), self.store.clone());
        let store = tokio::task::spawn_blocking(move || SledStore::open(&path, &settings)).await?;
        let store = store
            .with_context(|| format!("cannot open the store in {}", self.settings.data_dir.display()))?;
        for report in store::Store::health(&store).await.reports {
            warn!(report, "the store was repaired");
        }
        let guardrails = self.guardrails(&store, &nodes).await?;
        let reconcile = self.settings.reconcile.as_ref();
        let reconcile = reconcile
            .map(|reconcile| MissedAlerts::settings(reconcile, &self.catalog, &nodes))
            .transpose()?;
        let usual = self.settings.limits.of_runner(runner::Settings::default());
        let settings = runner::Settings {
            drivers: self.drivers.clone(),
            retention: self.settings.retention,
            reconcile,
            guard: Arc::new(guardrails),
            resume_role: self.settings.guardrails.resume_role.clone().unwrap_or(usual.resume_role.clone()),
            ..usual
        };
        Ok(Runner::open(Arc::new(store), Arc::new(Performer(nodes)), workflows, settings).await?)
    }

    async fn guardrails(&self, store: &dyn store::Store, nodes: &Arc<Nodes>) -> anyhow::Result<Guardrails> {
        let get_agent = self.catalog.get(Agents::NODE).cloned();
        let directory = Arc::new(Agents { nodes: nodes.clone(), get_agent });
        let restored = store.note(store::Note::RESTORED).await?;
        let recent = recent_disruptions(store).await?;
        Ok(Guardrails::new(self.settings.guardrails.rules.clone(), directory, recent, restored))
    }

    /// What the server is told.
    pub(crate) fn server_settings(&self) -> server::Settings {
        server::Settings {
            hooks: self.settings.hooks.clone(),
            tokens: self.settings.tokens.clone(),
            ..self.settings.limits.of_server(server::Settings::default())
        }
    }
}

/// Performs commands over the connections.
struct Performer(Arc<Nodes>);

#[async_trait]
impl Executor for Performer {
    async fn perform(&self, command: &engine::Command) -> Outcome {
        // What cannot be verified is not sent: nobody would know what became of it. An undo is sent all the same, for what
        // stays contained is an outage.
        let look = command.verify.as_ref().filter(|_| !command.step.is_undo);
        if let Some(Err(failure)) = look.map(|look| self.0.check_setup(look, None)) {
            let message = format!("nobody could look whether it happened, so nothing was sent: {failure}");
            let help = "configure that connection, or write `verify: false` in the step: then a person is asked where nobody knows";
            return Outcome::Failed(Failure::new(FailureClass::Setup, message).help(help));
        }
        let call = Call {
            manifest: &command.node,
            connection: command.connection.as_deref(),
            inputs: &command.inputs,
            call: &command.call().into(),
            timeout: command.timeout,
        };
        self.0.perform(call).await
    }
}

/// Says in the log which steps of these workflows have no connection to work over.
pub(crate) fn warn_of_missing_connections<'a>(
    nodes: &Nodes,
    workflows: impl Iterator<Item = &'a Arc<Workflow>>,
) {
    for workflow in workflows {
        for step in workflow.steps.iter().filter(|step| step.node.engine_node().is_none()) {
            if let Err(failure) = nodes.check_setup(&step.node, step.connection.as_deref()) {
                warn!(workflow = workflow.name, step = %step.id, "this step cannot work here: {failure}");
            }
        }
    }
}

/// The catalogue that comes with the program, together with the nodes in these folders.
pub(crate) fn read_nodes(folders: &[PathBuf]) -> anyhow::Result<(Catalog, Recipes)> {
    let mut files = Vec::new();
    for path in yaml_files(folders)? {
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        files.push((path.display().to_string(), text));
    }
    load_nodes(files)
}

/// The catalogue that comes with the program, together with these nodes.
pub(crate) fn load_nodes(files: Vec<(String, String)>) -> anyhow::Result<(Catalog, Recipes)> {
    nodes::load(files).map_err(|findings| {
        let shown: Vec<String> = findings.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("{}", shown.join("\n\n"))
    })
}

/// The playbooks among these files and folders: every YAML file that is not a test.
pub(crate) fn playbooks(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let files = yaml_files(paths)?;
    Ok(files.into_iter().filter(|path| !is_test(path)).collect())
}

/// Makes the playbooks in the folders of these files known, for they may be called. One that cannot be read is called by
/// nobody, and says so where it is looked at itself.
pub(crate) fn add_playbooks_beside<'a>(files: impl IntoIterator<Item = &'a Path>, catalog: &mut Catalog) {
    let folder = |file: &'a Path| file.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folders = files.into_iter().map(|file| folder(file).unwrap_or(Path::new(".")).to_owned());
    let folders: BTreeSet<PathBuf> = folders.collect();
    for path in folders.into_iter().flat_map(|folder| playbooks(&[folder]).unwrap_or_default()) {
        let Ok(text) = std::fs::read_to_string(&path) else { continue };
        let draft = Draft::parse(&path.display().to_string(), &text).ok();
        if let Some(signature) = draft.and_then(|draft| draft.signature()) {
            catalog.add_workflow(signature);
        }
    }
}

/// Whether a file holds the tests of a playbook.
pub(crate) fn is_test(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().ends_with(".test.yaml"))
}

/// The YAML files among these files and folders, in the order of their names; a configuration in a folder is no such file.
pub(crate) fn yaml_files(paths: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in paths {
        collect(path, DEEPEST_FOLDER, &mut files)?;
    }
    Ok(files)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let metadata = std::fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
    if metadata.is_file() {
        files.push(path.to_owned());
    } else if depth > 0 {
        let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut entries: Vec<PathBuf> =
            entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
        entries.sort();
        let is_wanted = |entry: &&PathBuf| {
            let name = entry.file_name().unwrap_or_default().to_string_lossy();
            !name.starts_with('.')
                && name != "portcullis.yaml"
                && (entry.is_dir() || name.ends_with(".yaml") || name.ends_with(".yml"))
        };
        for entry in entries.iter().filter(is_wanted) {
            collect(entry, depth - 1, files)?;
        }
    }
    if files.len() > MOST_FILES {
        bail!("{} holds more than {MOST_FILES} YAML files", path.display());
    }
    Ok(())
}
