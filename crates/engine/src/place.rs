//! Where something happens in a run: in a step, or in one item of a step that is performed for each item of a list.

use model::StepKey;
use workflow::Step;

use crate::input::Rejected;
use crate::run::Run;
use crate::state::{Each, State, StepState};

/// A step, or one item of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) step: usize,
    pub(crate) item: Option<usize>,
    /// Whether it is where the step's effect is undone.
    pub(crate) is_undo: bool,
}

impl From<usize> for Place {
    fn from(step: usize) -> Place {
        Place { step, item: None, is_undo: false }
    }
}

impl Place {
    pub(crate) fn of_item(step: usize, item: usize) -> Place {
        Place { step, item: Some(item), is_undo: false }
    }
}

impl Run {
    /// Every step that is under way, each followed by those of its items that are; then where effects are undone.
    pub(crate) fn places(&self) -> impl Iterator<Item = Place> {
        let open = self.steps.iter().enumerate().filter(|(_, step)| step.state.is_open());
        let steps = open.flat_map(|(step, state)| {
            let each = if let State::Each(each) = &state.state { Some(each) } else { None };
            let items = each.into_iter().flat_map(|each| each.open.iter());
            std::iter::once(Place::from(step)).chain(items.map(move |item| Place::of_item(step, *item)))
        });
        steps.chain(self.undo_places())
    }

    /// Those of these places for whose state this holds.
    pub(crate) fn places_where(&self, holds: impl Fn(&State) -> bool) -> Vec<Place> {
        self.places().filter(|place| holds(&self.state_at(*place).state)).collect()
    }

    /// The place with this name.
    pub(crate) fn place(&self, key: &StepKey) -> Option<Place> {
        let step = self.workflow.index(&key.step)?;
        if key.is_undo {
            let item = key.item.map(usize::try_from).transpose().ok()?;
            return self.held.contains_key(&(step, item)).then_some(Place { step, item, is_undo: true });
        }
        let Some(item) = key.item else { return Some(Place::from(step)) };
        let State::Each(each) = &self.steps.get(step)?.state else { return None };
        let item = usize::try_from(item).ok().filter(|item| *item < each.items.len())?;
        Some(Place::of_item(step, item))
    }

    /// The place with this name, for what is said about it from outside.
    pub(crate) fn find(&self, key: &StepKey) -> Result<Place, Rejected> {
        let is_list = |index: &usize| self.step_at((*index).into()).each.is_some() && key.item.is_some();
        self.place(key).ok_or_else(|| match self.workflow.index(&key.step).filter(is_list) {
            // Its items are not there before it begins, nor when it has ended.
            Some(index) if self.list_at(index.into()).is_none() => {
                Rejected::NotWaiting { step: key.clone(), status: self.state_at(index.into()).state.status() }
            }
            Some(_) | None => Rejected::NoSuchStep(key.clone()),
        })
    }

    /// The name of a place.
    pub(crate) fn key_of(&self, place: Place) -> StepKey {
        let item = place.item.and_then(|item| item.try_into().ok());
        StepKey { step: self.step_at(place).id.clone(), item, is_undo: place.is_undo }
    }

    /// The step that is performed there.
    pub(crate) fn step_at(&self, place: Place) -> &Step {
        let step = self.workflow.steps.get(place.step).expect("places are made of steps that are there");
        step.inverse.as_deref().filter(|_| place.is_undo).unwrap_or(step)
    }

    /// How far it has come there.
    pub(crate) fn state_at(&self, place: Place) -> &StepState {
        if place.is_undo {
            return &self.held_at(place).expect("places are made of what is held").undo;
        }
        let step = self.steps.get(place.step).expect("there is a state for each step");
        match (place.item, &step.state) {
            (Some(item), State::Each(each)) => {
                &each.items.get(item).expect("places are made of items that are there").state
            }
            _ => step,
        }
    }

    /// The items of the step that is performed there.
    pub(crate) fn list_at(&self, place: Place) -> Option<&Each> {
        let State::Each(each) = &self.steps.get(place.step).filter(|_| !place.is_undo)?.state else {
            return None;
        };
        Some(each)
    }

    pub(crate) fn list_mut(&mut self, place: Place) -> Option<&mut Each> {
        let State::Each(each) = &mut self.steps.get_mut(place.step).filter(|_| !place.is_undo)?.state else {
            return None;
        };
        Some(each)
    }

    pub(crate) fn state_mut(&mut self, place: Place) -> &mut StepState {
        if place.is_undo {
            let held = self.held.get_mut(&(place.step, place.item));
            return &mut held.expect("places are made of what is held").undo;
        }
        let step = self.steps.get_mut(place.step).expect("there is a state for each step");
        let Some(item) = place.item else { return step };
        let State::Each(each) = &mut step.state else { panic!("only a step with a list has items") };
        &mut each.items.get_mut(item).expect("places are made of items that are there").state
    }
}
