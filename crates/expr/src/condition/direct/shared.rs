//! What several expressions have in common is evaluated once for all of them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Direct, Found};

/// The same expressions, in which what stands there more than once is shared; and how much that is.
pub(in crate::condition) fn share<'a>(
    expressions: impl Iterator<Item = Option<&'a Direct>> + Clone,
) -> (Vec<Option<Direct>>, usize) {
    let mut parts = Parts::default();
    expressions.clone().flatten().for_each(|expression| parts.count(expression));
    let shared = expressions.map(|expression| Some(parts.share(expression?))).collect();
    (shared, parts.shared.len())
}

/// What became of what is shared, over the same data.
#[derive(Debug, Default)]
pub(in crate::condition) struct Known<'a>(RefCell<Vec<Option<Option<Found<'a>>>>>);

/// The parts of expressions, how often each of them stands there, and those that are shared.
#[derive(Default)]
struct Parts<'a> {
    counts: HashMap<&'a Direct, usize>,
    shared: HashMap<&'a Direct, (usize, Arc<Direct>)>,
}

impl<'a> Known<'a> {
    /// Nothing is known yet of so much that is shared.
    pub(in crate::condition) fn nothing_of(shared: usize) -> Known<'a> {
        Known(RefCell::new(vec![None; shared]))
    }

    pub(super) fn get_or(
        &self,
        number: usize,
        eval: impl FnOnce() -> Option<Found<'a>>,
    ) -> Option<Found<'a>> {
        if let Some(Some(known)) = self.0.borrow().get(number) {
            return known.clone();
        }
        let found = eval();
        if let Some(known) = self.0.borrow_mut().get_mut(number) {
            *known = Some(found.clone());
        }
        found
    }
}

impl<'a> Parts<'a> {
    /// What stands in a part that was counted already is the same again, and shared with it.
    fn count(&mut self, part: &'a Direct) {
        let count = self.counts.entry(part).or_default();
        *count += 1;
        if *count == 1 {
            part.parts().into_iter().for_each(|part| self.count(part));
        }
    }

    fn share(&mut self, part: &'a Direct) -> Direct {
        let is_shared =
            !matches!(part, Direct::Literal(_)) && self.counts.get(part).is_some_and(|count| *count > 1);
        if !is_shared {
            return part.with_parts(|part| self.share(part));
        }
        if let Some((number, shared)) = self.shared.get(part) {
            return Direct::Shared(*number, shared.clone());
        }
        let shared = Arc::new(part.with_parts(|part| self.share(part)));
        let number = self.shared.len();
        self.shared.insert(part, (number, shared.clone()));
        Direct::Shared(number, shared)
    }
}

impl Direct {
    /// What it is made of, but for what reads the element of a loop.
    pub(super) fn parts(&self) -> Vec<&Direct> {
        match self {
            Direct::Literal(_) | Direct::Path(_) | Direct::Element(..) | Direct::Shared(..) => Vec::new(),
            Direct::Has(part, _) | Direct::Not(part) | Direct::Matches(part, _) => vec![part],
            Direct::Size(part) | Direct::ToText(part) | Direct::Each { list: part, .. } => vec![part],
            Direct::If(parts) => parts.iter().collect(),
            Direct::Binary(_, sides) => sides.iter().collect(),
            Direct::OneOf(value, list) => std::iter::once(value.as_ref()).chain(list).collect(),
        }
    }

    /// The same, made of what becomes of its parts.
    fn with_parts<'a>(&'a self, mut each: impl FnMut(&'a Direct) -> Direct) -> Direct {
        let mut boxed = |part: &'a Direct| Box::new(each(part));
        match self {
            Direct::Literal(_) | Direct::Path(_) | Direct::Element(..) | Direct::Shared(..) => self.clone(),
            Direct::Has(part, name) => Direct::Has(boxed(part), name.clone()),
            Direct::Not(part) => Direct::Not(boxed(part)),
            Direct::Matches(part, pattern) => Direct::Matches(boxed(part), pattern.clone()),
            Direct::Size(part) => Direct::Size(boxed(part)),
            Direct::ToText(part) => Direct::ToText(boxed(part)),
            Direct::Each { list, fulfils, is_all } => {
                Direct::Each { list: boxed(list), fulfils: fulfils.clone(), is_all: *is_all }
            }
            Direct::If(parts) => Direct::If(Box::new(parts.each_ref().map(each))),
            Direct::Binary(binary, sides) => Direct::Binary(*binary, Box::new(sides.each_ref().map(each))),
            Direct::OneOf(value, list) => Direct::OneOf(boxed(value), list.iter().map(each).collect()),
        }
    }
}
