//! The catalogue: what comes with the program, and what the operator adds to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use include_dir::{Dir, include_dir};
use workflow::{Catalog, Diagnostic, Diagnostics, Rule};

use crate::check;
use crate::recipe::Recipe;

static FOLDER: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../nodes");

/// The recipes of all products, by product.
#[derive(Debug, Clone, Default)]
pub struct Recipes {
    recipes: BTreeMap<String, Arc<Recipe>>,
}

impl Recipes {
    /// Adds the recipe that this YAML describes; a product that is taken is refused.
    pub fn add(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let recipe = Recipe::parse(file, text)?;
        if self.recipes.contains_key(&recipe.product) {
            let at = check::place_of(text, &recipe.product);
            let message = format!("there is a recipe for `{}` already", recipe.product);
            let mut findings = Diagnostics::new(file, text);
            findings.push(Diagnostic::new(Rule::DUPLICATE_PRODUCT, at, message));
            return Err(findings);
        }
        self.recipes.insert(recipe.product.clone(), Arc::new(recipe));
        Ok(())
    }

    /// The recipe of this product.
    pub fn get(&self, product: &str) -> Option<&Arc<Recipe>> {
        self.recipes.get(product)
    }

    /// All recipes, in the order of their products.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Recipe>> {
        self.recipes.values()
    }
}

/// What comes with the program.
pub fn builtin() -> (Catalog, Recipes) {
    load([]).expect("a test reads every file of the catalogue")
}

/// What comes with the program and what these files add to it: pairs of a name and a text.
///
/// A file named `connection.yaml` is a recipe, any other a node. All findings are given, those of every file.
pub fn load(
    files: impl IntoIterator<Item = (String, String)>,
) -> Result<(Catalog, Recipes), Vec<Diagnostics>> {
    let mut embedded = Vec::new();
    embedded_files(&FOLDER, &mut embedded);
    let (mut recipes, mut nodes): (Vec<_>, Vec<_>) = (Vec::new(), Vec::new());
    for file in embedded.into_iter().chain(files) {
        let is_recipe = file.0.rsplit(['/', '\\']).next() == Some("connection.yaml");
        if is_recipe { recipes.push(file) } else { nodes.push(file) }
    }
    let mut loaded = (Catalog::default(), Recipes::default());
    let mut findings = Vec::new();
    for (file, text) in recipes {
        findings.extend(loaded.1.add(&file, &text).err());
    }
    for (file, text) in nodes {
        let added = check::node(&file, &text, &loaded.1).and_then(|()| loaded.0.add(&file, &text));
        findings.extend(added.err());
    }
    if findings.is_empty() { Ok(loaded) } else { Err(findings) }
}

fn embedded_files(folder: &Dir<'_>, files: &mut Vec<(String, String)>) {
    for file in folder.files() {
        let name = file.path().to_string_lossy();
        if !name.ends_with(".yaml") {
            continue;
        }
        let text = file.contents_utf8().expect("a test reads every file of the catalogue");
        files.push((format!("nodes/{name}"), text.to_owned()));
    }
    for folder in folder.dirs() {
        embedded_files(folder, files);
    }
}

#[cfg(test)]
mod tests;
