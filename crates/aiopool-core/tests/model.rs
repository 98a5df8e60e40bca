//! The core against a naive model, over random sequences of everything that can be told to it.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use aiopool_core::{Admission, Slot, Ticket};
use proptest::prelude::*;

/// One step. Numbers choose among what is there, modulo its count.
#[derive(Debug, Clone)]
enum Step {
    Submit,
    Finish(usize),
    Admit,
    Withdraw(usize),
    WithdrawStale(usize),
    WithdrawAll,
    Close,
    Reopen,
    Join,
    Leave(usize),
    TellIdle,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Submit),
        6 => any::<usize>().prop_map(Step::Finish),
        8 => Just(Step::Admit),
        4 => any::<usize>().prop_map(Step::Withdraw),
        1 => any::<usize>().prop_map(Step::WithdrawStale),
        1 => Just(Step::WithdrawAll),
        1 => Just(Step::Close),
        2 => Just(Step::Reopen),
        2 => Just(Step::Join),
        1 => any::<usize>().prop_map(Step::Leave),
        3 => Just(Step::TellIdle),
    ]
}

/// The pool as one would describe it on a napkin.
#[derive(Default)]
struct Model {
    size: usize,
    active: usize,
    line: VecDeque<u32>,
    joiners: VecDeque<u32>,
    closed: bool,
}

/// The core beside its model, with what a face would hold.
struct World {
    core: Admission<u32, u32>,
    model: Model,
    slots: Vec<Slot>,
    tickets: Vec<(Ticket, u32)>,
    stale: Vec<Ticket>,
    joined: Vec<(Ticket, u32)>,
    next: u32,
}

impl World {
    fn new(size: NonZeroUsize) -> Self {
        Self {
            core: Admission::new(size),
            model: Model {
                size: size.get(),
                ..Model::default()
            },
            slots: Vec::new(),
            tickets: Vec::new(),
            stale: Vec::new(),
            joined: Vec::new(),
            next: 0,
        }
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Submit => self.submit(),
            Step::Finish(which) => self.finish(which),
            Step::Admit => self.admit(),
            Step::Withdraw(which) => self.withdraw(which),
            Step::WithdrawStale(which) => self.withdraw_stale(which),
            Step::WithdrawAll => {
                let withdrawn = self.core.withdraw_all();
                self.emptied(withdrawn);
            }
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
        }
        self.compare();
    }

    fn submit(&mut self) {
        let waiter = self.fresh();
        match self.core.submit(waiter) {
            Ok(ticket) => {
                assert!(!self.model.closed);
                self.model.line.push_back(waiter);
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
        let expected = self.model.line.pop_front();
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
            self.model.line.retain(|other| *other != waiter);
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
        assert_eq!(withdrawn.len(), self.model.line.len());
        assert!(withdrawn.eq(self.model.line.drain(..)));
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

    fn tell_idle(&mut self) {
        let told = self.core.poll_idle();
        if self.model.line.is_empty() && self.model.active == 0 {
            assert_eq!(told, self.model.joiners.pop_front());
        } else {
            assert_eq!(told, None);
        }
        self.joined.retain(|(_, joiner)| Some(*joiner) != told);
    }

    fn compare(&self) {
        let (core, model) = (&self.core, &self.model);
        assert_eq!(core.active(), model.active);
        assert_eq!(core.waiting(), model.line.len());
        assert_eq!(core.len(), model.line.len() + model.active);
        assert_eq!(core.is_empty(), model.line.is_empty() && model.active == 0);
        assert_eq!(core.is_full(), core.len() >= model.size);
        assert_eq!(core.is_closed(), model.closed);
        assert!(core.waiters().map(|(_, waiter)| waiter).eq(&model.line));
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

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn the_core_does_what_the_naive_model_does(
        size in 1..4_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(NonZeroUsize::new(size).expect("sizes start at 1"));
        for step in &steps {
            world.take(step);
        }
    }

    /// What is promised once the face has done all that the core asked for.
    #[test]
    fn a_face_that_polls_after_each_step_keeps_every_slot_busy(
        size in 1..4_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(NonZeroUsize::new(size).expect("sizes start at 1"));
        for step in &steps {
            world.take(step);
            for _ in 0..size {
                world.take(&Step::Admit);
            }
            prop_assert!(world.core.waiting() == 0 || world.core.active() == size);
        }
    }
}
