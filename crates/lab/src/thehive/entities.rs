//! Everything that TheHive stores: entities with an id, a kind and the entity that they belong to.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::clock::now_ms;

use super::reply::{Rejection, not_found};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Case,
    Task,
    Log,
    Observable,
    Comment,
}

impl Kind {
    pub(super) const ALL: [Kind; 5] = [Kind::Case, Kind::Task, Kind::Log, Kind::Observable, Kind::Comment];

    pub(super) fn name(self) -> &'static str {
        match self {
            Kind::Case => "Case",
            Kind::Task => "Task",
            Kind::Log => "Log",
            Kind::Observable => "Observable",
            Kind::Comment => "Comment",
        }
    }
}

struct Entity {
    kind: Kind,
    parent: Option<u64>,
    fields: Map<String, Value>,
}

#[derive(Default)]
pub(super) struct Entities {
    by_id: BTreeMap<u64, Entity>,
    last_number: u64,
}

/// Ids grow by this much, as those of the product's database do.
const STEP: u64 = 4096;
const FIRST: u64 = 4296;

impl Entities {
    /// Stores an entity and gives it its id, type, author and date.
    pub(super) fn add(
        &mut self,
        kind: Kind,
        parent: Option<u64>,
        login: &str,
        mut fields: Map<String, Value>,
    ) -> u64 {
        let id = self.by_id.last_key_value().map_or(FIRST, |(last, _)| last + STEP);
        let (by, at) = match kind {
            Kind::Comment => ("createdBy", "createdAt"),
            Kind::Case | Kind::Task | Kind::Log | Kind::Observable => ("_createdBy", "_createdAt"),
        };
        fields.insert("_id".into(), json!(format!("~{id}")));
        fields.insert("_type".into(), json!(kind.name()));
        fields.insert(by.into(), json!(login));
        fields.insert(at.into(), json!(now_ms()));
        fields.insert("extraData".into(), json!({}));
        self.by_id.insert(id, Entity { kind, parent, fields });
        id
    }

    pub(super) fn next_case_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    /// Finds a case by `~id` or by its number.
    pub(super) fn case(&self, id_or_number: &str) -> Result<u64, Rejection> {
        if id_or_number.starts_with('~') {
            return self.find(Kind::Case, id_or_number);
        }
        let number: Option<u64> = id_or_number.parse().ok();
        let found =
            self.all(Kind::Case).find(|id| number.is_some() && self.fields(*id)["number"].as_u64() == number);
        found.ok_or_else(|| not_found(Kind::Case.name(), id_or_number))
    }

    pub(super) fn find(&self, kind: Kind, id: &str) -> Result<u64, Rejection> {
        let number = id.strip_prefix('~').and_then(|digits| digits.parse().ok());
        number
            .filter(|number| self.by_id.get(number).is_some_and(|entity| entity.kind == kind))
            .ok_or_else(|| not_found(kind.name(), id))
    }

    pub(super) fn all(&self, kind: Kind) -> impl Iterator<Item = u64> {
        self.by_id.iter().filter(move |(_, entity)| entity.kind == kind).map(|(id, _)| *id)
    }

    pub(super) fn children(&self, parent: u64, kind: Kind) -> Vec<u64> {
        self.all(kind).filter(|id| self.parent(*id) == Some(parent)).collect()
    }

    pub(super) fn parent(&self, id: u64) -> Option<u64> {
        self.by_id.get(&id).and_then(|entity| entity.parent)
    }

    pub(super) fn fields(&self, id: u64) -> &Map<String, Value> {
        &self.by_id.get(&id).expect("entities are never deleted").fields
    }

    /// Changes an entity and notes who did it and when.
    pub(super) fn change(&mut self, id: u64, login: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let entity = self.by_id.get_mut(&id).expect("entities are never deleted");
        change(&mut entity.fields);
        entity.fields.insert("_updatedBy".into(), json!(login));
        entity.fields.insert("_updatedAt".into(), json!(now_ms()));
    }

    pub(super) fn shown(&self, id: u64) -> Value {
        Value::Object(self.fields(id).clone())
    }
}
