//! The facts of a run in the few words in which a test names them: `block approved by ana`.

use model::{Decision, Event, FailureClass, Held, LetGo, Resolution, SkipReason, StepKey, UndoReason};

/// What may follow the words of a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rest {
    Nothing,
    /// The name of a person.
    Name,
    Step,
    Class,
}

const OF_RUN: [(&str, Rest); 10] = [
    ("alert again", Rest::Nothing),
    ("queued", Rest::Nothing),
    ("dropped", Rest::Nothing),
    ("admitted", Rest::Nothing),
    ("timed out", Rest::Nothing),
    ("started", Rest::Nothing),
    ("succeeded", Rest::Nothing),
    ("failed", Rest::Nothing),
    ("cancelled", Rest::Nothing),
    ("cancelled by ", Rest::Name),
];
const OF_STEP: [(&str, Rest); 39] = [
    ("prepared", Rest::Nothing),
    ("joined", Rest::Nothing),
    ("taken", Rest::Nothing),
    ("unknown", Rest::Nothing),
    ("not seen", Rest::Nothing),
    ("due", Rest::Nothing),
    ("alarm", Rest::Nothing),
    ("wanted", Rest::Nothing),
    ("wanted by ", Rest::Name),
    ("let go", Rest::Nothing),
    ("let go by ", Rest::Name),
    ("started", Rest::Nothing),
    ("started again", Rest::Nothing),
    ("ok", Rest::Nothing),
    ("failed", Rest::Nothing),
    ("failed with ", Rest::Class),
    ("attempt failed", Rest::Nothing),
    ("attempt failed with ", Rest::Class),
    ("skipped", Rest::Nothing),
    ("skipped by its if", Rest::Nothing),
    ("stopped", Rest::Nothing),
    ("stopped by ", Rest::Step),
    ("held back", Rest::Nothing),
    ("waits", Rest::Nothing),
    ("calls ", Rest::Name),
    ("asked", Rest::Nothing),
    ("approved", Rest::Nothing),
    ("approved by ", Rest::Name),
    ("rejected", Rest::Nothing),
    ("rejected by ", Rest::Name),
    ("expired", Rest::Nothing),
    ("in doubt", Rest::Nothing),
    ("resolved", Rest::Nothing),
    ("resolved ok", Rest::Nothing),
    ("resolved failed", Rest::Nothing),
    ("resolved send again", Rest::Nothing),
    ("resolved ok by ", Rest::Name),
    ("resolved failed by ", Rest::Name),
    ("resolved send again by ", Rest::Name),
];

/// Every name of a fact, the one that says most last. The first word is the step or `run`.
pub(super) fn names(event: &Event) -> Vec<String> {
    let Some(key) = event.step() else {
        return of_run(event).iter().map(|words| format!("run {words}")).collect();
    };
    let words = of_step(event);
    let with_item = words.iter().map(|words| format!("{key} {words}"));
    match key.item {
        None => with_item.collect(),
        Some(_) => words.iter().map(|words| format!("{} {words}", key.step)).chain(with_item).collect(),
    }
}

fn of_run(event: &Event) -> Vec<String> {
    match event {
        Event::RunStarted { .. } => vec!["started".to_owned()],
        Event::RunCancelled { by, .. } => vec!["cancelled".to_owned(), format!("cancelled by {}", by.name)],
        Event::RunFinished { status, .. } => vec![status.as_str().to_owned()],
        Event::RunHeld { then: Held::Queued, .. } => vec!["queued".to_owned()],
        Event::RunHeld { then: Held::Dropped, .. } => vec!["dropped".to_owned()],
        Event::RunAdmitted => vec!["admitted".to_owned()],
        Event::RunTimedOut => vec!["timed out".to_owned()],
        Event::AlertJoined { .. } => vec!["alert again".to_owned()],
        Event::TriggerFailed { .. }
        | Event::StepStarted { .. }
        | Event::StepSucceeded { .. }
        | Event::StepFailed { .. }
        | Event::StepSkipped { .. }
        | Event::StepInDoubt { .. }
        | Event::EachStarted { .. }
        | Event::EachEnded { .. }
        | Event::ChildStarted { .. }
        | Event::DelayStarted { .. }
        | Event::ApprovalRequested { .. }
        | Event::ApprovalDecided { .. }
        | Event::ApprovalExpired { .. }
        | Event::StepPrepared { .. }
        | Event::StepJoined { .. }
        | Event::VerifyStarted { .. }
        | Event::LookedInVain { .. }
        | Event::LookStarted { .. }
        | Event::StepUnknown { .. }
        | Event::UndoDue { .. }
        | Event::AlarmRaised { .. }
        | Event::LetGo { .. }
        | Event::Resolved { .. } => Vec::new(),
    }
}

fn of_step(event: &Event) -> Vec<String> {
    let who = |word: &str, name: &str| vec![word.to_owned(), format!("{word} by {name}")];
    match event {
        Event::StepStarted { attempt: 1, .. } => vec!["started".to_owned()],
        Event::StepStarted { .. } => vec!["started".to_owned(), "started again".to_owned()],
        Event::EachStarted { .. } => vec!["started".to_owned()],
        Event::ChildStarted { workflow, .. } => vec!["started".to_owned(), format!("calls {workflow}")],
        Event::StepSucceeded { .. } => vec!["ok".to_owned()],
        Event::EachEnded { status, .. } => vec![status.as_str().to_owned()],
        Event::StepFailed { failure, retry_at, .. } => {
            let word = if retry_at.is_some() { "attempt failed" } else { "failed" };
            vec![word.to_owned(), format!("{word} with {}", failure.class)]
        }
        Event::StepSkipped { reason, .. } => match reason {
            SkipReason::Condition => vec!["skipped".to_owned(), "skipped by its if".to_owned()],
            SkipReason::StoppedBy(need) => {
                vec!["skipped".to_owned(), "stopped".to_owned(), format!("stopped by {need}")]
            }
            SkipReason::Shadow { .. } => vec!["skipped".to_owned(), "held back".to_owned()],
        },
        Event::StepInDoubt { .. } => vec!["in doubt".to_owned()],
        Event::StepPrepared { .. } => vec!["prepared".to_owned()],
        Event::StepJoined { .. } => vec!["ok".to_owned(), "joined".to_owned()],
        Event::VerifyStarted { failure: None, .. } => vec!["taken".to_owned()],
        Event::VerifyStarted { .. } | Event::StepUnknown { .. } => vec!["unknown".to_owned()],
        Event::LookedInVain { .. } => vec!["not seen".to_owned()],
        Event::UndoDue { why: UndoReason::Person { by, .. }, .. } => who("wanted", &by.name),
        Event::UndoDue { .. } => vec!["due".to_owned()],
        Event::AlarmRaised { .. } => vec!["alarm".to_owned()],
        Event::LetGo { how: LetGo::ByHand { by, .. }, .. } => who("let go", &by.name),
        Event::LetGo { .. } => vec!["let go".to_owned()],
        Event::DelayStarted { .. } => vec!["waits".to_owned()],
        Event::ApprovalRequested { .. } => vec!["asked".to_owned()],
        Event::ApprovalDecided { decision, by, .. } => match decision {
            Decision::Approve => who("approved", &by.name),
            Decision::Reject => who("rejected", &by.name),
        },
        Event::ApprovalExpired { .. } => vec!["expired".to_owned()],
        Event::Resolved { resolution, by, .. } => {
            let word = match resolution {
                Resolution::Ok => "resolved ok",
                Resolution::Failed => "resolved failed",
                Resolution::SendAgain => "resolved send again",
            };
            vec!["resolved".to_owned(), word.to_owned(), format!("{word} by {}", by.name)]
        }
        Event::RunStarted { .. }
        | Event::TriggerFailed { .. }
        | Event::RunHeld { .. }
        | Event::RunAdmitted
        | Event::RunTimedOut
        | Event::AlertJoined { .. }
        | Event::LookStarted { .. }
        | Event::RunCancelled { .. }
        | Event::RunFinished { .. } => Vec::new(),
    }
}

/// Why a text is no name of a fact.
pub(super) enum NoFact<'a> {
    /// It begins with something that is neither `run` nor a step.
    Step(&'a str),
    /// Nothing of this kind is said: the words, and what there is.
    Words(&'a str, Vec<&'static str>),
    /// This is no failure class.
    Class(&'a str),
}

/// Whether a text is a name that a fact can have.
pub(super) fn check<'a>(text: &'a str, is_step: impl Fn(&str) -> bool) -> Result<(), NoFact<'a>> {
    let (who, words) = text.split_once(' ').unwrap_or((text, ""));
    let forms: &[(&'static str, Rest)] = match who.parse::<StepKey>() {
        Ok(key) if is_step(key.step.as_str()) => &OF_STEP,
        _ if who == "run" => &OF_RUN,
        _ => return Err(NoFact::Step(who)),
    };
    let rest = forms.iter().find_map(|(form, rest)| match rest {
        Rest::Nothing => (words == *form).then_some((Rest::Nothing, "")),
        Rest::Name | Rest::Step | Rest::Class => {
            words.strip_prefix(form).filter(|rest| !rest.is_empty()).map(|text| (*rest, text))
        }
    });
    match rest {
        None => {
            let known = forms.iter().filter(|(_, rest)| *rest == Rest::Nothing).map(|(form, _)| *form);
            Err(NoFact::Words(words, known.collect()))
        }
        Some((Rest::Step, need)) if !is_step(need) => Err(NoFact::Step(need)),
        Some((Rest::Class, class)) if class.parse::<FailureClass>().is_err() => Err(NoFact::Class(class)),
        Some(_) => Ok(()),
    }
}
