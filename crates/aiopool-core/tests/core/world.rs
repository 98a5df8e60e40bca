//! The core beside a naive model, to which the same is told.
//!
//! The model is written from what the pool promises. Where a promise leaves a choice (which of two
//! keys has its turn), the model checks what the core has chosen.

use std::num::NonZeroUsize;

use aiopool_core::{
    Admission, HeldBy, KeyId, Leaving, Level, Outside, Phase, Reason, Request, Slot, Ticket, Time,
    Walk,
};

use crate::model::{KEYS, Model, Place, Verdict, Waiting};
use crate::settings::{Job, Settings};

/// One step. Numbers choose among what is there, modulo its count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A job of this level, key and weight; whether it stands at the front, and whether it pays.
    Submit(Place, u32, bool, bool),
    Finish(usize),
    /// One that has paid has ended instead.
    TakeBack(usize),
    /// One that has not paid when it was admitted has ended instead.
    Refund(usize),
    /// The job that has just been admitted, if it has not paid.
    Pay,
    Admit,
    GoOutside(usize),
    /// At the front, without paying; or at the back, and it pays.
    ComeBack(usize, bool),
    Force(usize),
    EndOutside(usize),
    BeginLeaving,
    EndLeaving,
    Withdraw(usize),
    WithdrawStale(usize),
    BeginWalk,
    WalkOn,
    Enter(Phase),
    Join,
    JoinActive,
    Leave(usize),
    LeaveActive(usize),
    TellIdle,
    TellAllIdle,
    TellDrained,
    Wait(u64),
    Resize(usize),
    /// The rates with this number among those that a world can have.
    SetRates(usize),
    /// For so many nanoseconds, or until resumed.
    Pause(Option<u64>),
    Resume,
    PauseKey(usize, Option<u64>),
    ResumeKey(usize),
}

/// The core beside its model, with what a face would hold.
pub(crate) struct World {
    pub(crate) core: Admission<Job, u32>,
    pub(crate) model: Model,
    settings: Settings,
    /// The ids of the keys that are open.
    keys: [Option<KeyId>; KEYS],
    /// What each active job holds, by its number.
    slots: Vec<(Slot, u32)>,
    outside: Vec<(Outside, u32)>,
    leaving: Vec<Leaving>,
    tickets: Vec<(Ticket, u32)>,
    stale: Vec<Ticket>,
    joined: Vec<(Ticket, u32)>,
    joined_active: Vec<(Ticket, u32)>,
    walk: Option<(Walk, u32)>,
    /// Whether the last step has admitted a job that has not paid.
    may_pay: bool,
    next: u32,
}

impl World {
    pub(crate) fn new(settings: Settings) -> Self {
        let size = NonZeroUsize::new(settings.size).expect("sizes start at 1");
        let mut world = Self {
            core: Admission::new(size),
            model: Model::new(settings),
            settings,
            keys: [None; KEYS],
            slots: Vec::new(),
            outside: Vec::new(),
            leaving: Vec::new(),
            tickets: Vec::new(),
            stale: Vec::new(),
            joined: Vec::new(),
            joined_active: Vec::new(),
            walk: None,
            may_pay: false,
            next: 0,
        };
        if !settings.rates.is_empty() {
            world.core.set_rates(settings.rates, Time::ZERO);
        }
        world
    }

    pub(crate) fn take(&mut self, step: Step) {
        match step {
            Step::Submit(place, weight, front, pays) => {
                let job = self.fresh_job(weight, pays);
                self.submit(place, job, front);
            }
            Step::Finish(which) => {
                if let Some((slot, number)) = remove(&mut self.slots, which) {
                    self.core.finish(slot);
                    self.model.finish(number);
                }
            }
            Step::TakeBack(which) => {
                if let Some((slot, number)) = remove(&mut self.slots, which) {
                    if self.model.take_back(number) {
                        self.core.take_back(slot);
                    } else {
                        self.core.finish(slot);
                    }
                }
            }
            Step::Refund(which) => {
                if let Some((slot, number)) = remove(&mut self.slots, which) {
                    match self.model.refund(number) {
                        Some(at) => self.core.refund(slot, Time::from_nanos(at)),
                        None => self.core.finish(slot),
                    }
                }
            }
            Step::Pay => {
                let now = self.now();
                let last = self.slots.last();
                if let Some((slot, number)) = last.filter(|_| self.may_pay) {
                    let level = self.model.level_of_active(*number);
                    let level = Level::new(level).expect("it is one");
                    assert_eq!(self.core.pay(slot, level, now), self.model.pay(*number));
                }
            }
            Step::Admit => {
                self.may_pay = false;
                self.admit();
            }
            Step::GoOutside(which) => {
                if let Some((slot, number)) = remove(&mut self.slots, which) {
                    self.outside.push((self.core.go_outside(slot), number));
                    self.model.go_outside(number);
                }
            }
            Step::ComeBack(which, front) => self.come_back(which, front),
            Step::Force(which) => {
                if let Some((outside, number)) = self.leave_outside(which) {
                    let weight = self.model.force(number);
                    let weight = weight.try_into().expect("weights start at 1");
                    self.slots.push((self.core.force(outside, weight), number));
                }
            }
            Step::EndOutside(which) => {
                if let Some((outside, number)) = self.leave_outside(which) {
                    self.core.end_outside(outside);
                    self.model.end_outside(number);
                }
            }
            Step::BeginLeaving => self.leaving.push(self.core.begin_leaving()),
            Step::EndLeaving => {
                if let Some(leaving) = self.leaving.pop() {
                    self.core.end_leaving(leaving);
                }
            }
            Step::Withdraw(which) => self.withdraw(which),
            Step::WithdrawStale(which) => {
                if let Some(ticket) = pick(&self.stale, which) {
                    assert_eq!(self.core.get(ticket), None);
                    assert_eq!(self.core.withdraw(ticket), None);
                }
            }
            Step::BeginWalk => {
                self.walk = Some((self.core.begin_walk(), self.next));
                self.model.begin_walk();
            }
            Step::WalkOn => self.walk_on(),
            limit => self.change(limit),
        }
        self.may_pay &= step == Step::Admit;
        self.hear_of_keys();
        self.compare();
    }

    /// A step that changes the limits.
    fn change(&mut self, step: Step) {
        match step {
            Step::Enter(phase) => {
                self.core.enter(phase);
                self.model.phase = phase;
            }
            Step::Wait(nanos) => self.model.now += nanos,
            Step::Resize(size) => {
                self.core
                    .resize(NonZeroUsize::new(size).expect("sizes start at 1"));
                self.model.size = size;
            }
            Step::SetRates(which) => {
                let rates = self.settings.choices[which % self.settings.choices.len()];
                self.core.set_rates(rates, self.now());
                self.model.set_rates(rates);
            }
            Step::Pause(nanos) => {
                self.core.pause(self.until(nanos));
                self.model.pause(nanos);
            }
            Step::Resume => {
                assert_eq!(self.core.resume(self.now()), self.model.resume());
            }
            Step::PauseKey(key, nanos) => {
                let id = self.open(key % KEYS);
                assert!(self.core.pause_key(id, self.until(nanos)));
                self.model.keys[key % KEYS].pause(self.model.now, nanos);
            }
            Step::ResumeKey(key) => {
                let now = self.model.now;
                let was_paused = self.model.keys[key % KEYS].resume(now);
                if let Some(id) = self.keys[key % KEYS] {
                    assert_eq!(self.core.resume_key(id, self.now()), was_paused);
                }
            }
            joining => self.tell(joining),
        }
    }

    /// A step of those who wait for the end.
    fn tell(&mut self, step: Step) {
        match step {
            Step::Join => {
                let joiner = self.fresh();
                self.joined.push((self.core.join(joiner), joiner));
            }
            Step::JoinActive => {
                let joiner = self.fresh();
                self.joined_active
                    .push((self.core.join_active(joiner), joiner));
            }
            Step::Leave(which) => {
                if let Some((ticket, joiner)) = remove(&mut self.joined, which) {
                    assert_eq!(self.core.leave(ticket), Some(joiner));
                    assert_eq!(self.core.leave(ticket), None);
                }
            }
            Step::LeaveActive(which) => {
                if let Some((ticket, joiner)) = remove(&mut self.joined_active, which) {
                    assert_eq!(self.core.leave_active(ticket), Some(joiner));
                    assert_eq!(self.core.leave_active(ticket), None);
                }
            }
            Step::TellIdle => {
                let first = (!self.joined.is_empty()).then(|| self.joined[0].1);
                let told = self.core.poll_idle();
                assert_eq!(told, first.filter(|_| self.is_idle()));
                self.joined.retain(|(_, joiner)| Some(*joiner) != told);
            }
            Step::TellAllIdle => {
                let told = self.core.poll_all_idle();
                let is_idle = self.is_idle();
                told_all(told, &mut self.joined, is_idle);
            }
            Step::TellDrained => {
                let told = self.core.poll_drained();
                let is_drained = self.model.active.is_empty();
                told_all(told, &mut self.joined_active, is_drained);
            }
            other => unreachable!("{other:?} is told elsewhere"),
        }
    }

    /// Every step that can be told apart from the others here.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = self.settings.steps();
        // Jobs of one key and weight are all alike.
        let mut seen = Vec::new();
        for (index, (_, number)) in self.slots.iter().enumerate() {
            let kind = self.model.kind(*number);
            if !seen.contains(&kind) {
                seen.push(kind);
                steps.extend([
                    Step::Finish(index),
                    Step::TakeBack(index),
                    Step::Refund(index),
                ]);
                steps.extend(self.settings.has_outside.then_some(Step::GoOutside(index)));
            }
        }
        for index in 0..self.outside.len() {
            steps.extend([
                Step::ComeBack(index, true),
                Step::ComeBack(index, false),
                Step::Force(index),
                Step::EndOutside(index),
            ]);
        }
        steps.extend(self.may_pay.then_some(Step::Pay));
        steps.extend((!self.leaving.is_empty()).then_some(Step::EndLeaving));
        steps.extend((0..self.tickets.len()).map(Step::Withdraw));
        steps.extend((!self.stale.is_empty()).then_some(Step::WithdrawStale(0)));
        steps.extend((0..self.joined.len()).map(Step::Leave));
        steps.extend((0..self.joined_active.len()).map(Step::LeaveActive));
        steps
    }

    /// All jobs end, and time goes on: nobody is left behind, and nothing is kept.
    pub(crate) fn end(&mut self) {
        self.take(Step::Enter(Phase::Open));
        self.take(Step::Resume);
        (0..KEYS).for_each(|key| self.take(Step::ResumeKey(key)));
        for index in 0..self.outside.len() {
            self.take(Step::ComeBack(index, false));
        }
        loop {
            self.take(Step::Admit);
            if !self.slots.is_empty() {
                self.take(Step::Finish(0));
            } else if self.model.waiting.is_empty() {
                break;
            } else {
                let wake = self.core.next_wake().expect("somebody waits for ever");
                let now = self.model.now;
                self.take(Step::Wait(wake.as_nanos().saturating_sub(now)));
            }
        }
        while let Some(wake) = self.core.next_wake() {
            self.model.now = self.model.now.max(wake.as_nanos());
            self.core.poll_due(self.now());
            self.hear_of_keys();
        }
        assert_eq!(self.keys, [None; KEYS], "a key is kept for nothing");
        assert_eq!(self.core.held(), 0);
        assert!(self.core.is_empty());
    }

    fn submit(&mut self, place: Place, job: Job, front: bool) {
        let request = self.request(place, front);
        match self.core.submit(job, request) {
            Ok(ticket) => {
                assert!(self.model.takes(front));
                self.submitted(ticket, place, job, front);
            }
            Err(refused) => {
                assert!(!self.model.takes(front));
                assert_eq!((refused.reason, refused.waiter), (Reason::Closed, job));
            }
        }
    }

    fn submitted(&mut self, ticket: Ticket, place: Place, job: Job, front: bool) {
        self.tickets.push((ticket, job.number));
        let waiting = Waiting { place, job, front };
        self.model.submit(waiting, front);
    }

    fn request(&mut self, place: Place, front: bool) -> Request {
        Request {
            level: Level::new(place.level).expect("it is one"),
            key: place.key.map(|key| self.open(key)),
            front,
        }
    }

    fn come_back(&mut self, which: usize, front: bool) {
        let Some(index) = pick(&(0..self.outside.len()).collect::<Vec<_>>(), which) else {
            return;
        };
        let (outside, number) = &self.outside[index];
        if self.tickets.iter().any(|(_, other)| other == number) {
            return;
        }
        let Waiting { place, mut job, .. } = self.model.outside(*number);
        (job.pays, job.begun) = (!front, true);
        let level = Level::new(place.level).expect("it is one");
        match self.core.come_back(outside, job, level, front) {
            Ok(ticket) => {
                assert!(self.model.phase != Phase::Closed);
                self.submitted(ticket, place, job, front);
            }
            Err(refused) => {
                assert!(self.model.phase == Phase::Closed);
                assert_eq!(refused.waiter, job);
            }
        }
    }

    fn admit(&mut self) {
        while self.core.poll_due(self.now()) {}
        self.hear_of_keys();
        let (admitted, verdict) = (self.core.poll_admit(self.now()), self.model.verdict());
        let Some(admitted) = admitted else {
            let held_by = self.core.stats().held_by;
            if matches!(held_by, Some(HeldBy::Pause | HeldBy::Rate)) {
                assert!(self.core.is_timed());
            }
            match verdict {
                Verdict::Nobody(expected) => assert_eq!(held_by, expected),
                // The one in front waits, and it is one of those that may be in front.
                Verdict::Somebody(candidates) => {
                    assert!(
                        candidates
                            .iter()
                            .any(|candidate| candidate.held_by == held_by),
                        "{held_by:?} holds nobody of {candidates:?}"
                    );
                    assert!(held_by.is_some());
                }
            }
            return;
        };
        let Verdict::Somebody(candidates) = verdict else {
            panic!("{:?} starts where nobody may", admitted.waiter);
        };
        let number = admitted.waiter.number;
        let chosen = candidates
            .iter()
            .find(|candidate| candidate.number == number);
        let chosen = chosen.unwrap_or_else(|| panic!("{number} is not one of {candidates:?}"));
        assert_eq!(chosen.held_by, None, "{number} starts and may not");
        self.model.start(number, &candidates);
        let level = self.core.admitted_level().get();
        assert_eq!(level, self.model.level_of_active(number));
        self.slots.push((admitted.slot, number));
        self.may_pay = !admitted.waiter.pays && !admitted.waiter.begun;
        if admitted.waiter.begun {
            let of_it = |(_, other): &(Outside, u32)| *other == number;
            let index = self.outside.iter().position(of_it);
            let (outside, _) = self.outside.remove(index.expect("it was outside"));
            self.core.end_outside(outside);
            self.model.end_outside(number);
        }
        self.forget_ticket(admitted.ticket);
    }

    /// Somebody is outside no more, who stands in the queue no more either.
    fn leave_outside(&mut self, which: usize) -> Option<(Outside, u32)> {
        let (outside, number) = remove(&mut self.outside, which)?;
        let of_it = |(_, other): &(Ticket, u32)| *other == number;
        if let Some(index) = self.tickets.iter().position(of_it) {
            self.withdraw(index);
        }
        Some((outside, number))
    }

    fn withdraw(&mut self, which: usize) {
        let Some((ticket, number)) = pick(&self.tickets, which) else {
            return;
        };
        let job = self.core.get(ticket).copied();
        assert_eq!(job.map(|job| job.number), Some(number));
        assert_eq!(self.core.withdraw(ticket), job);
        self.model.withdraw(number);
        self.forget_ticket(ticket);
    }

    fn walk_on(&mut self) {
        let Some((walk, last)) = &self.walk else {
            return;
        };
        let next = self
            .core
            .walk_on()
            .map(|(ticket, job)| (ticket, job.number));
        match next {
            Some((ticket, number)) => {
                assert!(walk.includes(ticket) && number <= *last);
                assert!(self.tickets.contains(&(ticket, number)));
                self.model.walked(number);
            }
            None => assert!(self.model.to_walk.is_empty(), "{:?}", self.model.to_walk),
        }
    }

    /// The id of a key, which is opened if it is not.
    fn open(&mut self, key: usize) -> KeyId {
        let (limit, rates) = (self.settings.key_limit, self.settings.key_rates);
        let id = *self.keys[key].get_or_insert_with(|| self.core.open_key(limit, rates));
        assert!(self.core.has_key(id));
        id
    }

    fn hear_of_keys(&mut self) {
        while let Some(id) = self.core.poll_key_gone() {
            let key = self.keys.iter().position(|key| *key == Some(id));
            let key = key.expect("a key goes that is not there");
            assert!(!self.core.has_key(id));
            self.model.forget_key(key);
            self.keys[key] = None;
        }
    }

    fn is_idle(&self) -> bool {
        self.model.is_empty() && self.leaving.is_empty()
    }

    fn compare(&mut self) {
        self.model.look();
        let (core, model) = (&self.core, &self.model);
        let stats = core.stats();
        assert_eq!(core.size().get(), model.size);
        assert_eq!(
            (core.active(), stats.active),
            (model.active.len(), model.active.len())
        );
        assert_eq!((core.held(), stats.held), (model.held(), model.held()));
        assert_eq!(
            (core.waiting(), stats.waiting),
            (model.waits(), model.waits())
        );
        assert_eq!(
            (core.outside(), stats.outside),
            (model.outside.len(), model.outside.len())
        );
        assert_eq!(stats.started, model.started);
        assert!(stats.parked <= model.waiting.len());
        assert_eq!(core.len(), model.len());
        assert_eq!(core.is_empty(), model.is_empty());
        assert_eq!(core.is_idle(), self.is_idle());
        assert_eq!(
            core.is_full(),
            model.held() as u64 + model.wanted() >= model.size as u64
        );
        assert_eq!(
            core.may_admit(),
            model.held() < model.size && !model.waiting.is_empty()
        );
        assert_eq!(core.phase(), model.phase);
        // Those of one level and key stand in their order.
        for place in model.places() {
            let of_place = |job: &Job| model.place(job.number) == Some(place);
            let waiters = core.waiters().map(|(_, job)| *job);
            let waiters = waiters.filter(of_place).map(|job| job.number);
            assert!(
                waiters.eq(model.numbers_at(place)),
                "out of order at {place:?}"
            );
        }
        for (ticket, number) in &self.tickets {
            let found = core.get(*ticket).map(|job| job.number);
            assert_eq!(found, Some(*number));
        }
        let joiners = self.joined.iter().chain(&self.joined_active);
        let joiners = joiners.map(|(_, joiner)| joiner);
        assert!(core.joiners().map(|(_, joiner)| joiner).eq(joiners));
    }

    fn now(&self) -> Time {
        Time::from_nanos(self.model.now)
    }

    fn until(&self, nanos: Option<u64>) -> Time {
        nanos.map_or(Time::NEVER, |nanos| self.now().after(nanos))
    }

    fn fresh(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    fn fresh_job(&mut self, weight: u32, pays: bool) -> Job {
        Job {
            number: self.fresh(),
            weight: weight.try_into().expect("weights start at 1"),
            pays,
            begun: false,
        }
    }

    fn forget_ticket(&mut self, ticket: Ticket) {
        self.tickets.retain(|(other, _)| *other != ticket);
        self.stale.push(ticket);
    }
}

fn told_all(
    told: Option<impl ExactSizeIterator<Item = u32>>,
    joined: &mut Vec<(Ticket, u32)>,
    now: bool,
) {
    match told {
        Some(told) => {
            assert!(now && told.len() == joined.len());
            assert!(told.eq(joined.drain(..).map(|(_, joiner)| joiner)));
        }
        None => assert!(!now || joined.is_empty()),
    }
}

fn pick<T: Copy>(from: &[T], which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from[which % from.len()])
}

fn remove<T>(from: &mut Vec<T>, which: usize) -> Option<T> {
    (!from.is_empty()).then(|| from.remove(which % from.len()))
}
