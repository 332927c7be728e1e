//! What goes wrong with a PutRecord or PutRecords, and when: pure.
//!
//! Tests write the plans, `server` asks for the next fault with every put that it receives and carries it out. Every put
//! takes exactly one step of a plan.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// Says what happens to one put instead of its being done and answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not applied, and answered with an error.
    Error {
        /// The status of the HTTP answer.
        status: u16,
        /// The error's name, such as `ProvisionedThroughputExceededException`.
        code: String,
        /// The text for people.
        message: String,
    },
    /// Applied, then answered with `InternalFailure`, status 500.
    ErrorAfter,
    /// Not applied; the connection is closed without an answer.
    DropBefore,
    /// Applied; the connection is closed without an answer.
    DropAfter,
    /// The connection is closed without an answer, and the request is applied when the time is over, unless the endpoint
    /// was paused until then: a zombie.
    DropThenApply(Duration),
    /// Applied and answered when the time is over; not at all if the client or the endpoint is gone by then.
    Delay(Duration),
    /// Neither applied nor answered until the client or the endpoint is gone.
    Hang,
}

impl Fault {
    /// Makes the answer to more than a shard takes.
    pub fn throttled() -> Self {
        Self::Error {
            status: 400,
            code: "ProvisionedThroughputExceededException".to_owned(),
            message: "Rate exceeded for shard".to_owned(),
        }
    }

    /// Makes the answer of a service that is unavailable: status 503, not applied.
    pub fn unavailable() -> Self {
        Self::Error {
            status: 503,
            code: "ServiceUnavailable".to_owned(),
            message: "Service is unable to handle request.".to_owned(),
        }
    }
}

/// Says for one put after another whether it goes wrong, and how.
///
/// A plan is any iterator, so that a test may as well derive one from a seed: it gives a step with every put, and after
/// its end all is well.
pub struct FaultPlan(Box<dyn Iterator<Item = Option<Fault>> + Send>);

impl FaultPlan {
    /// Makes a plan of its steps: `None` lets a put succeed.
    pub fn new<I>(steps: I) -> Self
    where
        I: IntoIterator<Item = Option<Fault>>,
        I::IntoIter: Send + 'static,
    {
        Self(Box::new(steps.into_iter()))
    }
}

impl fmt::Debug for FaultPlan {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FaultPlan").finish_non_exhaustive()
    }
}

/// Holds the plans that were not yet followed to their end, in the order in which they came.
#[derive(Debug, Default)]
pub(crate) struct Faults(VecDeque<FaultPlan>);

impl Faults {
    pub(crate) fn push(&mut self, plan: FaultPlan) {
        self.0.push_back(plan);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Takes the next step.
    pub(crate) fn next(&mut self) -> Option<Fault> {
        while let Some(plan) = self.0.front_mut() {
            if let Some(step) = plan.0.next() {
                return step;
            }
            self.0.pop_front();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plans_follow_one_another() {
        let mut faults = Faults::default();
        assert_eq!(faults.next(), None);
        faults.push(FaultPlan::new([None, Some(Fault::Hang)]));
        faults.push(FaultPlan::new([]));
        faults.push(FaultPlan::new(std::iter::repeat_n(Some(Fault::ErrorAfter), 2)));
        let steps: Vec<_> = (0..5).map(|_| faults.next()).collect();
        assert_eq!(steps, [None, Some(Fault::Hang), Some(Fault::ErrorAfter), Some(Fault::ErrorAfter), None]);
    }

    #[test]
    fn a_plan_may_be_endless_until_it_is_cleared() {
        let mut faults = Faults::default();
        faults.push(FaultPlan::new((0_u64..).map(|put| (put % 3 == 1).then_some(Fault::DropAfter))));
        let steps: Vec<_> = (0..6).map(|_| faults.next().is_some()).collect();
        assert_eq!(steps, [false, true, false, false, true, false]);
        faults.clear();
        assert_eq!(faults.next(), None);
    }
}
