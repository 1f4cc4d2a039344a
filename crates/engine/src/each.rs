//! A step that is performed for each item of a list: its items begin, so many at once, until it ends.

use std::borrow::Cow;

use expr::Scope;
use model::{Event, Failure, FailureClass, Record, SkipReason, StepKey, StepStatus, Timestamp};
use serde_json::{Value, json};
use workflow::OnItemError;

use crate::place::Place;
use crate::prepare;
use crate::run::Run;
use crate::settle::cannot_start;
use crate::state::{Each, State};

/// No further item begins while what went into those under way has more bytes: one append carries all that begin at once.
const LARGEST_UNDER_WAY: usize = 8 * 1024 * 1024;

/// What an item takes that says only that it gave too much.
const WORD_FOR_WHAT_IS_LEFT_OUT: usize = 200;

impl Run {
    /// The list for each item of which a step is to be performed.
    pub(crate) fn open_list(&self, each: &workflow::Each, step: StepKey) -> Result<Event, String> {
        let list = each.list.eval(&self.scope).map_err(|error| format!("`foreach`: {}", error.message))?;
        let Some(length) = list.as_array().map(Vec::len) else {
            return Err("`foreach` has to give a list".to_owned());
        };
        let most = each.max_items.unwrap_or(workflow::Each::MOST_ITEMS);
        if u32::try_from(length).is_ok_and(|length| length <= most) {
            prepare::check_size(&list).map_err(|message| format!("the list of `foreach` {message}"))?;
            return Ok(Event::EachStarted { step, items: list.into() });
        }
        Err(format!("`foreach` gives {length} items, and at most {most} are performed: none was"))
    }

    /// Begins what may begin, and ends the step when nothing more happens to its items.
    pub(crate) fn settle_items(&mut self, index: usize, now: Timestamp, journal: &mut Vec<Record>) {
        let open = self.list_at(index.into()).map(|each| each.open.clone()).unwrap_or_default();
        for item in open {
            let place = Place::of_item(index, item);
            if let Some(event) = self.start_ready(place, now) {
                self.record(event, now, journal);
            }
        }
        while let Some(place) = self.next_item(index) {
            let event = self.with_item(place, |run| run.open_step(place, now));
            let event = event.and_then(|event| self.with_room(place, event));
            let event = event.unwrap_or_else(|message| cannot_start(self.key_of(place), message));
            self.record(event, now, journal);
        }
        if let Some(event) = self.end_of_list(index) {
            self.record(event, now, journal);
        }
    }

    /// What becomes of an item at once, where there is room for what it brings with it.
    fn with_room(&self, place: Place, mut event: Event) -> Result<Event, String> {
        if let Event::StepSucceeded { output, .. } = &event {
            self.check_room(place, output).map_err(|message| format!("the output {message}"))?;
        }
        if let Event::StepSkipped { reason: SkipReason::Shadow { inputs, target }, .. } = &mut event
            && let Err(message) = self.check_room(place, &json!([inputs, target]))
        {
            *inputs = json!({ "left_out": message }).into();
            *target = target.take().filter(|target| target.len() < WORD_FOR_WHAT_IS_LEFT_OUT);
        }
        Ok(event)
    }

    /// Whether an output can be kept, beside those of the other items where there are any.
    pub(crate) fn check_room(&self, place: Place, output: &Value) -> Result<(), String> {
        prepare::check_size(output)?;
        let Some(each) = self.list_at(place).filter(|_| place.item.is_some()) else { return Ok(()) };
        let most = prepare::LARGEST_VALUE - each.items.len() * WORD_FOR_WHAT_IS_LEFT_OUT;
        if each.kept + prepare::size(output) <= most {
            return Ok(());
        }
        Err(format!("has, with those of the other items, more than {most} bytes as JSON"))
    }

    /// What can be read at a place: beside everything else the item, where it is one.
    pub(crate) fn item_scope(&self, place: Place) -> Cow<'_, Scope> {
        let each = self.list_at(place).zip(place.item);
        let named = self.step_at(place).each.as_ref().map(|each| &each.name);
        let (Some((each, item)), Some(name)) = (each, named) else { return Cow::Borrowed(&self.scope) };
        let mut scope = self.scope.clone();
        scope.set(&[name], each.value(item).clone());
        Cow::Owned(scope)
    }

    /// Evaluates something where the item of a place can be read.
    pub(crate) fn with_item<T>(&mut self, place: Place, evaluate: impl FnOnce(&Run) -> T) -> T {
        let each = self.step_at(place).each.as_ref().map(|each| each.name.clone());
        let value = match (place.item, self.steps.get(place.step).map(|step| &step.state)) {
            (Some(item), Some(State::Each(each))) => each.list.get(item).cloned(),
            _ => None,
        };
        let (Some(name), Some(value)) = (each, value) else { return evaluate(self) };
        self.scope.set(&[&name], value);
        let result = evaluate(self);
        self.scope.remove(&name);
        result
    }

    /// The first item that has not begun, where another one may.
    pub(crate) fn next_item(&self, index: usize) -> Option<Place> {
        let place = Place::from(index);
        let State::Each(each) = &self.state_at(place).state else { return None };
        let policy = self.step_at(place).each.as_ref()?;
        let is_full = each.open.len() >= policy.max_parallel as usize || each.under_way > LARGEST_UNDER_WAY;
        if !each.open.is_empty() && is_full || self.stops_list(index).is_some() {
            return None;
        }
        let item = Some(each.next).filter(|item| *item < each.items.len());
        item.map(|item| Place::of_item(index, item))
    }

    /// The item because of which no further one begins.
    fn stops_list(&self, index: usize) -> Option<(usize, StepStatus)> {
        let place = Place::from(index);
        let each = self.list_at(place).filter(|each| each.is_marred)?;
        let policy = self.step_at(place).each.as_ref()?.on_item_error;
        let ended = each.items.iter().map(|item| item.state.state.status()).enumerate();
        let stops = |status: StepStatus| match status {
            StepStatus::Cancelled => true,
            StepStatus::Failed | StepStatus::Rejected | StepStatus::Expired => policy == OnItemError::Stop,
            StepStatus::Pending
            | StepStatus::Running
            | StepStatus::Waiting
            | StepStatus::Ok
            | StepStatus::Skipped
            | StepStatus::InDoubt
            | StepStatus::Undone => false,
        };
        ended.into_iter().find(|(_, status)| stops(*status))
    }

    fn end_of_list(&self, index: usize) -> Option<Event> {
        let place = Place::from(index);
        let State::Each(each) = &self.state_at(place).state else { return None };
        let stop = self.stops_list(index);
        if !each.open.is_empty() || each.next < each.items.len() && stop.is_none() {
            return None;
        }
        let failure = stop.and_then(|(item, status)| {
            let failure = each.items.get(item)?.failure.clone();
            let message = failure.as_ref().map_or(status.as_str(), |failure| &failure.message);
            let class = failure.as_ref().map_or(FailureClass::Resolved, |failure| failure.class);
            Some(Failure::new(class, format!("item {item}: {message}")))
        });
        // In shadow mode, no item of a step that disrupts was performed, and so the step was not.
        let is_held_back = !each.items.is_empty()
            && each.items.iter().all(|item| matches!(item.state.state, State::SkippedItself));
        let done = if is_held_back { StepStatus::Skipped } else { StepStatus::Ok };
        let status = stop.map_or(done, |(_, status)| status);
        let output = output(each);
        let step = self.key_of(place);
        match prepare::check_size(&output) {
            Ok(()) => Some(Event::EachEnded { step, status, output: output.into(), failure }),
            Err(message) if self.only_looks(place) => {
                let failure =
                    Failure::new(FailureClass::Response, format!("the outputs of all items {message}"));
                let (status, output) = (StepStatus::Failed, json!({}).into());
                Some(Event::EachEnded { step, status, output, failure: Some(failure) })
            }
            Err(message) => {
                let output = json!({ "left_out": message }).into();
                Some(Event::EachEnded { step, status, output, failure })
            }
        }
    }
}

/// What later steps read: what each item gave, in the order of the list, and what became of those that gave nothing.
fn output(each: &Each) -> Value {
    let items = each.items.iter().map(|item| item.output.as_deref().cloned().unwrap_or(Value::Null));
    let failed = each
        .items
        .iter()
        .enumerate()
        .filter(|(_, item)| !matches!(item.state.state, State::Ok | State::SkippedItself));
    let failed = failed.map(|(index, item)| {
        json!({
            "index": index,
            "item": each.value(index),
            "status": item.state.state.status().as_str(),
            "message": item.failure.as_ref().map(|failure| &failure.message),
        })
    });
    json!({ "items": items.collect::<Vec<_>>(), "failed": failed.collect::<Vec<_>>() })
}
