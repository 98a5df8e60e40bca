//! The callers that wait for a slot of their own, without a job.

use std::mem;
use std::task::Waker;

use aiopool_core::{Level, Slot, Ticket, Time};
use slab::Slab;

/// An entry for each caller that has not got its slot yet.
#[derive(Default)]
pub(crate) struct PermitTable(Slab<Caller>);

struct Caller {
    waker: Option<Waker>,
    stage: Stage,
}

enum Stage {
    /// In the queue.
    Waiting(Ticket),
    Granted(Grant),
    /// Out of the queue, because the runtime on which it waited has shut down.
    Lost,
}

/// A slot that a caller has got.
pub(crate) struct Grant {
    pub(crate) slot: Slot,
    /// The place that the caller had in the queue, which its job has from now on.
    pub(crate) ticket: Ticket,
    pub(crate) level: Level,
    /// When it got the slot, if the pool is timed.
    pub(crate) at: Time,
}

/// Why a caller that does not wait has got no slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Closed,
    /// None may be had now.
    Full,
}

/// How a caller finds itself.
pub(crate) enum Found {
    Granted(Grant),
    /// It waits. The waker that it had left is to be dropped under no lock.
    Waiting(Option<Waker>),
    /// It has to come again. So is this waker.
    Lost(Option<Waker>),
}

/// What a caller leaves that does not want a slot any more.
pub(crate) enum Left {
    Slot(Slot),
    Ticket(Ticket),
    Nothing,
}

impl PermitTable {
    /// A caller is about to take a place in the queue.
    pub(crate) fn add(&mut self) -> usize {
        self.0.insert(Caller {
            waker: None,
            stage: Stage::Lost,
        })
    }

    /// It has taken this one.
    pub(crate) fn wait(&mut self, index: usize, ticket: Ticket) {
        self.0[index].stage = Stage::Waiting(ticket);
    }

    /// It gets a slot. Its waker is to be woken under no lock.
    pub(crate) fn grant(&mut self, index: usize, grant: Grant) -> Option<Waker> {
        let caller = &mut self.0[index];
        caller.stage = Stage::Granted(grant);
        caller.waker.take()
    }

    /// It has been taken out of the queue. Its waker is to be woken under no lock.
    pub(crate) fn lose(&mut self, index: usize) -> Option<Waker> {
        let caller = &mut self.0[index];
        caller.stage = Stage::Lost;
        caller.waker.take()
    }

    /// It looks whether it has a slot, and leaves a waker if it has to wait.
    pub(crate) fn look(&mut self, index: usize, waker: Waker) -> Found {
        let caller = &mut self.0[index];
        match caller.stage {
            Stage::Waiting(_) => Found::Waiting(caller.waker.replace(waker)),
            Stage::Lost | Stage::Granted(_) => match self.0.remove(index).stage {
                Stage::Granted(grant) => Found::Granted(grant),
                Stage::Waiting(_) | Stage::Lost => Found::Lost(Some(waker)),
            },
        }
    }

    /// Takes the slot of a caller that does not wait for it, if it has one by now.
    pub(crate) fn take(&mut self, index: usize) -> Option<Grant> {
        match mem::replace(&mut self.0[index].stage, Stage::Lost) {
            Stage::Granted(grant) => {
                self.0.remove(index);
                Some(grant)
            }
            stage => {
                self.0[index].stage = stage;
                None
            }
        }
    }

    /// It is not there any more. Its waker is to be dropped under no lock.
    pub(crate) fn leave(&mut self, index: usize) -> (Left, Option<Waker>) {
        let caller = self.0.remove(index);
        let left = match caller.stage {
            Stage::Waiting(ticket) => Left::Ticket(ticket),
            Stage::Granted(grant) => Left::Slot(grant.slot),
            Stage::Lost => Left::Nothing,
        };
        (left, caller.waker)
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::num::NonZeroUsize;

    use aiopool_core::{Admission, Admitted, Request};

    use super::*;

    #[derive(Debug)]
    struct Anyone;

    impl aiopool_core::Waiter for Anyone {}

    #[test]
    fn a_caller_that_has_gone_or_has_taken_its_slot_leaves_no_entry() {
        let mut admission = Admission::<_, ()>::new(NonZeroUsize::MIN);
        let mut table = PermitTable::default();
        for takes in [true, false] {
            let ticket = admission.submit(Anyone, Request::default());
            let index = table.add();
            table.wait(index, ticket.expect("it is open"));
            assert!(table.take(index).is_none(), "it waits");
            let at = Time::ZERO;
            let admitted = admission.poll_admit(at);
            let Admitted { slot, ticket, .. } = admitted.expect("a slot is free");
            let grant = Grant {
                slot,
                ticket,
                level: admission.admitted_level(),
                at,
            };
            let waker = table.grant(index, grant);
            assert!(waker.is_none(), "it has left none");
            let slot = if takes {
                table.take(index).map(|grant| grant.slot)
            } else {
                match table.leave(index) {
                    (Left::Slot(slot), None) => Some(slot),
                    _ => None,
                }
            };
            admission.finish(slot.expect("it has one"));
            assert!(table.0.is_empty());
        }
    }
}
