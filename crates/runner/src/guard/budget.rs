//! How much was disrupted in the last hour.

use std::collections::VecDeque;
use std::time::Duration;

use model::Timestamp;

const HOUR: Duration = Duration::from_secs(3600);

/// How many disruptions an hour may hold before a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// Of all playbooks.
    pub all: Option<usize>,
    /// Of each playbook.
    pub per_playbook: Option<usize>,
}

/// A disruption that was let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disruption {
    /// When.
    pub at: Timestamp,
    /// The workflow whose step it is.
    pub workflow: String,
}

/// The disruptions of the last hour, oldest first.
#[derive(Debug, Default)]
pub(super) struct Spent(VecDeque<Disruption>);

impl Spent {
    pub(super) fn new(recent: impl IntoIterator<Item = Disruption>) -> Spent {
        let mut recent: Vec<Disruption> = recent.into_iter().collect();
        recent.sort_by_key(|disruption| disruption.at);
        Spent(recent.into())
    }

    /// Counts one more, or says why a person is asked before it.
    pub(super) fn spend(
        &mut self,
        budget: Budget,
        workflow: &str,
        answered: &[String],
        now: Timestamp,
    ) -> Result<(), String> {
        self.0.retain(|disruption| now.since(disruption.at) < HOUR);
        let of_it = self.0.iter().filter(|disruption| disruption.workflow == workflow).count();
        let is_over = |most: Option<usize>, spent: usize| most.filter(|most| spent >= *most);
        let why = if let Some(most) = is_over(budget.all, self.0.len()) {
            Some(format!("the operator's limit of {} in an hour is reached", count(most)))
        } else {
            let most = is_over(budget.per_playbook, of_it);
            most.map(|most| {
                format!("the operator's limit of {} of `{workflow}` in an hour is reached", count(most))
            })
        };
        match why {
            Some(why) if !answered.contains(&why) => Err(why),
            Some(_) | None => {
                self.0.push_back(Disruption { at: now, workflow: workflow.to_owned() });
                Ok(())
            }
        }
    }
}

fn count(most: usize) -> String {
    if most == 1 { "1 disruption".to_owned() } else { format!("{most} disruptions") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    #[test]
    fn the_hour_slides() {
        let budget = Budget { all: Some(2), per_playbook: None };
        let mut spent = Spent::default();
        assert!(spent.spend(budget, "a", &[], at(10_000)).is_ok());
        assert!(spent.spend(budget, "b", &[], at(11_000)).is_ok());
        let why = spent.spend(budget, "c", &[], at(12_000)).unwrap_err();
        insta::assert_snapshot!(why, @"the operator's limit of 2 disruptions in an hour is reached");
        assert!(spent.spend(budget, "c", &[], at(13_599)).is_err(), "the first still counts");
        assert!(spent.spend(budget, "c", &[], at(13_600)).is_ok(), "what was asked about does not count");
    }

    #[test]
    fn a_playbook_has_a_limit_of_its_own_and_what_a_person_allows_counts() {
        let budget = Budget { all: Some(3), per_playbook: Some(1) };
        let mut spent = Spent::new([Disruption { at: at(9_000), workflow: "a".to_owned() }]);
        insta::assert_snapshot!(spent.spend(budget, "a", &[], at(10_000)).unwrap_err(), @"the operator's limit of 1 disruption of `a` in an hour is reached");
        assert!(
            spent
                .spend(
                    budget,
                    "a",
                    &["the operator's limit of 1 disruption of `a` in an hour is reached".to_owned()],
                    at(10_000)
                )
                .is_ok()
        );
        assert!(spent.spend(budget, "b", &[], at(10_000)).is_ok());
        assert!(spent.spend(budget, "c", &[], at(10_000)).is_err());
    }

    #[test]
    fn a_clock_that_jumps_back_gives_nothing_back() {
        let budget = Budget { all: Some(1), per_playbook: None };
        let mut spent = Spent::default();
        assert!(spent.spend(budget, "a", &[], at(10_000)).is_ok());
        assert!(spent.spend(budget, "a", &[], at(6_000)).is_err());
    }

    proptest::proptest! {
        /// Without a person, no hour ever holds more than the limit, whatever the times.
        #[test]
        fn no_hour_holds_more(mut seconds in proptest::collection::vec(0i64..20_000, 1..60), most in 0usize..6) {
            seconds.sort_unstable();
            let (budget, mut spent, mut gone) = (Budget { all: Some(most), per_playbook: None }, Spent::default(), Vec::new());
            for second in seconds {
                if spent.spend(budget, "a", &[], at(second)).is_ok() {
                    gone.push(second);
                }
            }
            for first in &gone {
                let in_hour = gone.iter().filter(|second| (*first..first + 3600).contains(*second)).count();
                proptest::prop_assert!(in_hour <= most);
            }
        }
    }
}
