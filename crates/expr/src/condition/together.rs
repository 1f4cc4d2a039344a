//! Conditions that are asked about the same data, as those of all playbooks that listen on one path.

use std::cell::LazyCell;

use crate::condition::direct::{Direct, Known, share};
use crate::condition::{Condition, Reads, part_size};
use crate::error::EvalError;
use crate::scope::Scope;

/// Conditions about the same data. What several of them have in common, such as a path, is evaluated once.
#[derive(Debug, Clone, Default)]
pub struct Conditions {
    conditions: Vec<Condition>,
    /// Each of them, with parts that are shared, where it is of a common form.
    direct: Vec<Option<Direct>>,
    shared: usize,
}

impl Conditions {
    /// These conditions.
    pub fn new(conditions: Vec<Condition>) -> Conditions {
        let (direct, shared) = share(conditions.iter().map(|condition| condition.direct.as_deref()));
        Conditions { conditions, direct, shared }
    }

    /// What each of them says, as [`Condition::holds`] does.
    pub fn hold(&self, scope: &Scope) -> Vec<Result<bool, EvalError>> {
        let known = Known::nothing_of(self.shared);
        // What is no excess with all that there is, is none with what one of them reads.
        let all_there_is = LazyCell::new(|| part_size(scope.tree().place(), &Reads::default()));
        let all = self.conditions.iter().zip(&self.direct).map(|(condition, direct)| {
            if condition.work.grows() && condition.excess(*all_there_is).is_some() {
                condition.check_work(scope)?;
            }
            let found = direct.as_ref().and_then(|direct| direct.eval(scope, &known));
            found.and_then(|found| found.bool()).map_or_else(|| condition.holds_by_cel(scope), Ok)
        });
        all.collect()
    }
}
