//! `portcullis nodes` and `portcullis schema`: the catalogue as a list, one node as a page, and all of it for editors.

use std::path::Path;

use anyhow::Context as _;
use workflow::{Action, Catalog, Manifest, OnDoubt};

use crate::app;
use crate::settings::Folders;
use crate::show;

pub(crate) fn nodes(config: &Path, name: Option<&str>) -> anyhow::Result<()> {
    let catalog = catalog(config)?;
    match name {
        Some(name) => {
            let manifest = catalog.get(name).with_context(|| format!("there is no node `{name}`"))?;
            show::put(format_args!("{}", page(manifest)));
        }
        None => {
            let rows: Vec<Vec<String>> = catalog
                .iter()
                .map(|node| {
                    vec![
                        node.name.clone(),
                        node.effect_word().to_owned(),
                        show::cut(node.first_sentence(), 80),
                    ]
                })
                .collect();
            show::put(format_args!("{}", show::table(&["node", "effect", "summary"], &rows)));
        }
    }
    Ok(())
}

/// Writes all nodes as a page of Markdown.
pub(crate) fn markdown(config: &Path) -> anyhow::Result<()> {
    show::put(workflow::reference(&catalog(config)?));
    Ok(())
}

/// Writes the schema of playbooks.
pub(crate) fn schema(config: &Path) -> anyhow::Result<()> {
    let schema = workflow::schema(&catalog(config)?);
    show::say(format_args!("{schema:#}"));
    Ok(())
}

/// The catalogue of the program, with the nodes of the configuration where there is one.
pub(crate) fn catalog(config: &Path) -> anyhow::Result<Catalog> {
    let folders = if config.exists() { Folders::read(config)?.nodes } else { Vec::new() };
    Ok(app::read_nodes(&folders)?.0)
}

fn page(manifest: &Manifest) -> String {
    let mut page = format!("{}\n    {}\n", manifest.name, manifest.summary);
    if let Some(docs) = &manifest.docs {
        page.push_str(&format!("    {docs}\n"));
    }
    page.push_str(&format!("\neffect      {}\n", manifest.effect_word()));
    let on_doubt = match manifest.on_doubt {
        OnDoubt::Retry => "retry: an unknown outcome is tried again",
        OnDoubt::SameKey => "same_key: an unknown outcome is sent again with the same key",
        OnDoubt::Verify => "verify: somebody looks whether it happened",
        OnDoubt::Ask => "ask: a person says what became of an unknown outcome",
    };
    if !matches!(manifest.action, Action::Trigger(_)) {
        page.push_str(&format!("on_doubt    {on_doubt}\n"));
    }
    if let Some(connection) = &manifest.connection {
        page.push_str(&format!("connection  {connection}\n"));
    }
    if let Some(target) = &manifest.target {
        page.push_str(&format!("target      {}\n", target.source()));
    }
    if let Some(verify) = &manifest.after.verify {
        page.push_str(&format!(
            "verify      {}, for {}\n",
            verify.uses,
            expr::duration::display(verify.within)
        ));
    }
    if let Some(undo) = &manifest.after.undo {
        page.push_str(&format!("undo        {}\n", undo.uses));
    }
    if let Some(fields) = manifest.output_fields() {
        page.push_str(&format!("output      {}\n", fields.join(", ")));
    }
    if !manifest.inputs.is_empty() {
        page.push_str("\ninputs\n");
    }
    for (name, input) in &manifest.inputs {
        page.push_str(&format!("    {name} ({})\n        {}\n", input.kind_and_limits(), input.summary));
    }
    if let Some(example) = manifest.example() {
        let example: String = example.lines().map(|line| format!("    {line}\n")).collect();
        page.push_str(&format!("\nexample\n{example}"));
    }
    page
}
