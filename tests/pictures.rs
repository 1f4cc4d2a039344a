//! The pictures beside the shipped playbooks show what these are.

use workflow::Format;

use crate::playbooks::{load, shipped};
use crate::world::repository;

#[test]
fn the_pictures_of_the_shipped_playbooks_are_up_to_date() {
    let folder = repository().join("workflows");
    let mut count = 0;
    for path in shipped().into_iter().filter(|path| path.starts_with(&folder)) {
        let text = std::fs::read_to_string(&path).unwrap();
        let drawn = workflow::draw(&load(&path.display().to_string(), &text), Format::Svg);
        let picture = path.with_extension("svg");
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        assert!(
            std::fs::read_to_string(&picture).is_ok_and(|shown| shown == drawn),
            "workflows/{name}.svg does not show workflows/{name}.yaml. Draw it anew:\n\
             cargo run -- graph workflows/{name}.yaml > workflows/{name}.svg"
        );
        let manual = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(manual.contains(&format!("{name}.svg")), "workflows/README.md does not show {name}.svg");
        count += 1;
    }
    assert!(count > 0, "there are playbooks");
}
