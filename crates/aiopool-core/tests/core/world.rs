//! The core beside a naive model, to which the same is told.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use aiopool_core::{Admission, Slot, Ticket, Walk};

/// One step. Numbers choose among what is there, modulo its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Submit,
    Finish(usize),
    Admit,
    Withdraw(usize),
    WithdrawStale(usize),
    WithdrawAll,
    BeginWalk,
    WalkOn,
    Close,
    Reopen,
    Join,
    Leave(usize),
    TellIdle,
    TellAllIdle,
}

/// The pool as one would describe it on a napkin.
#[derive(Default)]
struct Model {
    size: usize,
    active: usize,
    queue: VecDeque<u32>,
    joiners: VecDeque<u32>,
    closed: bool,
    /// The last whom the walk has come by, and the first that came after it began.
    walk: (u32, u32),
}

/// The core beside its model, with what a face would hold.
pub(crate) struct World {
    pub(crate) core: Admission<u32, u32>,
    model: Model,
    slots: Vec<Slot>,
    tickets: Vec<(Ticket, u32)>,
    stale: Vec<Ticket>,
    joined: Vec<(Ticket, u32)>,
    walk: Option<Walk>,
    next: u32,
}

impl Model {
    fn walked_next(&self) -> Option<u32> {
        let (last, end) = self.walk;
        // Waiters are numbered in the order in which they come.
        let mut queue = self.queue.iter().copied();
        queue.find(|waiter| (last + 1..end).contains(waiter))
    }
}

impl World {
    pub(crate) fn new(size: usize) -> Self {
        let slots = NonZeroUsize::new(size).expect("sizes start at 1");
        Self {
            core: Admission::new(slots),
            model: Model {
                size,
                ..Model::default()
            },
            slots: Vec::new(),
            tickets: Vec::new(),
            stale: Vec::new(),
            joined: Vec::new(),
            walk: None,
            next: 0,
        }
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Submit => self.submit(),
            Step::Finish(which) => self.finish(which),
            Step::Admit => self.admit(),
            Step::Withdraw(which) => self.withdraw(which),
            Step::WithdrawStale(which) => self.withdraw_stale(which),
            Step::WithdrawAll => {
                let withdrawn = self.core.withdraw_all();
                self.emptied(withdrawn);
            }
            Step::BeginWalk => {
                self.walk = Some(self.core.begin_walk());
                self.model.walk = (0, self.next + 1);
            }
            Step::WalkOn => self.walk_on(),
            Step::Close => {
                let withdrawn = self.core.close();
                self.model.closed = true;
                self.emptied(withdrawn);
            }
            Step::Reopen => {
                self.core.reopen();
                self.model.closed = false;
            }
            Step::Join => self.join(),
            Step::Leave(which) => self.leave(which),
            Step::TellIdle => self.tell_idle(),
            Step::TellAllIdle => self.tell_all_idle(),
        }
        self.compare();
    }

    /// Every step that can be told apart from the others here.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = vec![
            Step::Submit,
            Step::Admit,
            Step::WithdrawAll,
            Step::BeginWalk,
            Step::WalkOn,
            Step::Close,
            Step::Reopen,
            Step::Join,
            Step::TellIdle,
            Step::TellAllIdle,
        ];
        // Slots are all alike.
        steps.extend((!self.slots.is_empty()).then_some(Step::Finish(0)));
        steps.extend((0..self.tickets.len()).map(Step::Withdraw));
        steps.extend((0..self.stale.len()).map(Step::WithdrawStale));
        steps.extend((0..self.joined.len()).map(Step::Leave));
        steps
    }

    /// Whether the model says that this step changes something. So a core that changes where it must
    /// not is seen at once by the comparison, not by what follows.
    pub(crate) fn changes(&self, step: Step) -> bool {
        let Model {
            size,
            active,
            queue,
            joiners,
            closed,
            ..
        } = &self.model;
        match step {
            Step::Submit | Step::Close => !closed,
            Step::Admit => active < size && !queue.is_empty(),
            Step::WithdrawAll => !queue.is_empty(),
            // Another one that has just begun goes the same way.
            Step::BeginWalk => !queue.is_empty() && self.model.walk != (0, self.next + 1),
            Step::WalkOn => self.model.walked_next().is_some(),
            Step::Reopen => *closed,
            Step::TellIdle | Step::TellAllIdle => {
                *active == 0 && queue.is_empty() && !joiners.is_empty()
            }
            Step::WithdrawStale(_) => false,
            Step::Finish(_) | Step::Withdraw(_) | Step::Join | Step::Leave(_) => true,
        }
    }

    fn submit(&mut self) {
        let waiter = self.fresh();
        match self.core.submit(waiter) {
            Ok(ticket) => {
                assert!(!self.model.closed);
                self.model.queue.push_back(waiter);
                self.tickets.push((ticket, waiter));
            }
            Err(refused) => {
                assert!(self.model.closed);
                assert_eq!(refused.0, waiter);
            }
        }
    }

    fn finish(&mut self, which: usize) {
        if !self.slots.is_empty() {
            let slot = self.slots.swap_remove(which % self.slots.len());
            self.core.finish(slot);
            self.model.active -= 1;
        }
    }

    fn admit(&mut self) {
        let admitted = self.core.poll_admit();
        if self.model.active == self.model.size {
            assert!(admitted.is_none());
            return;
        }
        let expected = self.model.queue.pop_front();
        assert_eq!(admitted.as_ref().map(|admitted| admitted.waiter), expected);
        if let Some(admitted) = admitted {
            self.model.active += 1;
            self.slots.push(admitted.slot);
            self.forget_ticket(admitted.ticket);
        }
    }

    fn withdraw(&mut self, which: usize) {
        if !self.tickets.is_empty() {
            let (ticket, waiter) = self.tickets[which % self.tickets.len()];
            assert_eq!(self.core.get(ticket), Some(&waiter));
            assert_eq!(self.core.withdraw(ticket), Some(waiter));
            self.model.queue.retain(|other| *other != waiter);
            self.forget_ticket(ticket);
        }
    }

    fn withdraw_stale(&mut self, which: usize) {
        if !self.stale.is_empty() {
            let ticket = self.stale[which % self.stale.len()];
            assert_eq!(self.core.get(ticket), None);
            assert_eq!(self.core.withdraw(ticket), None);
        }
    }

    fn emptied(&mut self, withdrawn: impl ExactSizeIterator<Item = u32>) {
        assert_eq!(withdrawn.len(), self.model.queue.len());
        assert!(withdrawn.eq(self.model.queue.drain(..)));
        self.stale
            .extend(self.tickets.drain(..).map(|(ticket, _)| ticket));
    }

    fn join(&mut self) {
        let joiner = self.fresh();
        self.joined.push((self.core.join(joiner), joiner));
        self.model.joiners.push_back(joiner);
    }

    fn leave(&mut self, which: usize) {
        if !self.joined.is_empty() {
            let (ticket, joiner) = self.joined.swap_remove(which % self.joined.len());
            assert_eq!(self.core.leave(ticket), Some(joiner));
            assert_eq!(self.core.leave(ticket), None);
            self.model.joiners.retain(|other| *other != joiner);
        }
    }

    fn walk_on(&mut self) {
        let Some(walk) = &self.walk else { return };
        let next = self.core.walk_on(walk);
        let next = next.map(|(ticket, waiter)| (ticket, *waiter));
        assert_eq!(next.map(|(_, waiter)| waiter), self.model.walked_next());
        if let Some((ticket, waiter)) = next {
            assert!(self.tickets.contains(&(ticket, waiter)));
            self.model.walk.0 = waiter;
        }
    }

    fn tell_idle(&mut self) {
        let told = self.core.poll_idle();
        if self.model.queue.is_empty() && self.model.active == 0 {
            assert_eq!(told, self.model.joiners.pop_front());
        } else {
            assert_eq!(told, None);
        }
        self.joined.retain(|(_, joiner)| Some(*joiner) != told);
    }

    fn tell_all_idle(&mut self) {
        let told: Vec<_> = self.core.poll_all_idle().into_iter().flatten().collect();
        if self.model.queue.is_empty() && self.model.active == 0 {
            assert!(told.iter().copied().eq(self.model.joiners.drain(..)));
            self.joined.clear();
        } else {
            assert!(told.is_empty());
        }
    }

    fn compare(&self) {
        let (core, model) = (&self.core, &self.model);
        assert_eq!(core.size().get(), model.size);
        assert_eq!(core.active(), model.active);
        assert_eq!(core.waiting(), model.queue.len());
        assert_eq!(core.len(), model.queue.len() + model.active);
        assert_eq!(core.is_empty(), model.queue.is_empty() && model.active == 0);
        assert_eq!(core.is_full(), core.len() >= model.size);
        assert_eq!(core.is_closed(), model.closed);
        let has_turn = model.active < model.size && !model.queue.is_empty();
        assert_eq!(core.has_turn(), has_turn);
        assert!(core.waiters().map(|(_, waiter)| waiter).eq(&model.queue));
        assert!(core.joiners().map(|(_, joiner)| joiner).eq(&model.joiners));
        assert!(
            core.waiters()
                .all(|(ticket, waiter)| core.get(ticket) == Some(waiter))
        );
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn forget_ticket(&mut self, ticket: Ticket) {
        self.tickets.retain(|(other, _)| *other != ticket);
        self.stale.push(ticket);
    }
}
