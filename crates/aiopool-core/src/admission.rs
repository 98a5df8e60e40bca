//! Admission: which waiters hold slots, and which one gets the next.

use alloc::boxed::Box;
use core::mem;
use core::num::{NonZeroU32, NonZeroUsize};

use crate::deadlines::Deadlines;
use crate::joiners::Joiners;
use crate::keys::Key;
use crate::lanes::{LaneId, Lanes};
use crate::limits::Limits;
use crate::queue::{Drain, Ticket, Walk};
use crate::rate::Rate;
use crate::request::{KeyId, Level, Request, Waiter};
use crate::stats::{HeldBy, Stats};
use crate::steps::step;
use crate::time::Time;
use crate::tokens::{Admitted, Leaving, Outside, Phase, Reason, Refused, Slot};

/// Admits waiters `W` to the slots of a pool, and tells joiners `J` when the pool is idle.
///
/// The [crate documentation](crate) says in which order to call the methods. Every method is O(1),
/// amortized, and those that set a time O(log n) in the number of times that are set: none moves or
/// drops what others have handed in.
#[derive(Debug)]
pub struct Admission<W, J> {
    size: NonZeroUsize,
    /// How many slots are held.
    held: usize,
    /// How many of them are not the first of their job.
    surplus: usize,
    outside: usize,
    /// How many have left the queue and have not been dropped.
    leaving: usize,
    started: u64,
    /// That of the waiter that was admitted last.
    level: Level,
    lanes: Lanes<W>,
    /// Whether only the slots ever held anybody back: there have been no limits, and all waiters have
    /// stood in one lane and had the weight 1.
    is_plain: bool,
    limits: Option<Box<Limits>>,
    /// When active jobs have had their time.
    timeouts: Deadlines,
    phase: Phase,
    /// Whether somebody admits.
    advancing: bool,
    /// Those who wait until the pool is idle.
    joiners: Joiners<J>,
    /// Those who wait until nothing is active.
    drainers: Joiners<J>,
}

/// Questions.
impl<W: Waiter, J> Admission<W, J> {
    /// An empty admission with `size` slots.
    #[must_use]
    pub fn new(size: NonZeroUsize) -> Self {
        Self {
            size,
            held: 0,
            surplus: 0,
            outside: 0,
            leaving: 0,
            started: 0,
            level: Level::default(),
            lanes: Lanes::new(),
            is_plain: true,
            limits: None,
            timeouts: Deadlines::default(),
            phase: Phase::Open,
            advancing: false,
            joiners: Joiners::new(),
            drainers: Joiners::new(),
        }
    }

    /// The number of slots.
    #[must_use]
    pub fn size(&self) -> NonZeroUsize {
        self.size
    }

    /// The number of jobs that hold slots.
    #[must_use]
    pub fn active(&self) -> usize {
        self.held - self.surplus
    }

    /// The number of slots that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held
    }

    /// The number of waiters in the queue that have not begun.
    #[must_use]
    #[inline]
    pub fn waiting(&self) -> usize {
        self.lanes.waiting() - self.lanes.begun()
    }

    /// The number of jobs that have begun and hold no slot, those in the queue included.
    #[must_use]
    pub fn outside(&self) -> usize {
        self.outside
    }

    /// The number of waiters, of active jobs and of those outside together.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting() + self.active() + self.outside
    }

    /// Whether no waiter waits, and no job is active or outside.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether the pool is [empty](Self::is_empty), and nothing is [leaving](Self::begin_leaving).
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.is_empty() && self.leaving == 0
    }

    /// Whether the slots that are held, and those that the waiters ask for, are at least
    /// [`size`](Self::size).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.held.saturating_add(self.lanes.wanted()) >= self.size.get()
    }

    /// Whether a slot is free and somebody waits. [`poll_admit`](Self::poll_admit) says whether it
    /// gets it.
    #[must_use]
    #[inline]
    pub fn may_admit(&self) -> bool {
        self.held < self.size.get() && self.lanes.waiting() > 0
    }

    /// Whether the time makes a difference now. If not, [`Time::ZERO`] can be given for it.
    #[must_use]
    #[inline]
    pub fn is_timed(&self) -> bool {
        self.limits.as_ref().is_some_and(|limits| {
            !limits.rates.is_empty() || limits.paused > Time::ZERO || limits.keys.len() > 0
        })
    }

    /// The [level](Request::level) of the waiter that was admitted last.
    #[must_use]
    #[inline]
    pub fn admitted_level(&self) -> Level {
        self.level
    }

    /// What may be handed in.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the [phase](Self::phase) allows to hand something in that goes to the front, or to the
    /// back.
    #[must_use]
    #[inline]
    pub fn takes(&self, front: bool) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Draining => front,
            Phase::Closed => false,
        }
    }

    /// The numbers of this moment.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let asked = self.limits.as_ref().and_then(|limits| limits.held_by);
        let held_by = match asked {
            _ if self.lanes.waiting() == 0 => None,
            // A face need not ask while no slot is free.
            None => Some(HeldBy::Slots),
            held_by => held_by,
        };
        Stats {
            size: self.size,
            held: self.held,
            active: self.active(),
            waiting: self.waiting(),
            parked: self.lanes.parked(),
            outside: self.outside,
            started: self.started,
            held_by,
        }
    }

    /// The number of the key of a waiter.
    #[must_use]
    pub fn key_of_waiter(&self, ticket: Ticket) -> Option<u32> {
        self.lanes.key_of(ticket)
    }

    /// Whether the pool is paused.
    #[must_use]
    pub fn is_paused(&self, now: Time) -> bool {
        let limits = self.limits.as_ref();
        limits.is_some_and(|limits| limits.paused > now)
    }

    /// Whether the key is paused that has this number.
    #[must_use]
    pub fn is_key_paused(&self, index: u32, now: Time) -> bool {
        let limits = self.limits.as_ref();
        let key = limits.and_then(|limits| limits.keys.at(index));
        key.is_some_and(|key| key.is_paused(now))
    }

    /// Whether anybody is in the queue, be it to start or to come back.
    #[must_use]
    pub fn has_waiters(&self) -> bool {
        self.lanes.waiting() > 0
    }

    /// The key of a slot, by a number, if somebody waits for a job of that key to end.
    #[must_use]
    pub fn awaited_key(&self, slot: &Slot) -> Option<u32> {
        let index = slot.key()?;
        let lanes = self.limits.as_ref()?.keys.at(index)?.lanes;
        self.lanes.has_parked(lanes).then_some(index)
    }

    /// The waiter that holds `ticket`, while it is in the queue.
    #[must_use]
    pub fn get(&self, ticket: Ticket) -> Option<&W> {
        self.lanes.get(ticket)
    }

    /// All waiters: those of one level and key in the order of the queue.
    pub fn waiters(&self) -> impl Iterator<Item = (Ticket, &W)> {
        self.lanes.iter()
    }

    /// All joiners that have not been told yet, of either kind in the order in which they came.
    pub fn joiners(&self) -> impl Iterator<Item = (Ticket, &J)> {
        self.joiners.iter().chain(self.drainers.iter())
    }

    /// Whether a key is still open.
    #[must_use]
    pub fn has_key(&self, key: KeyId) -> bool {
        let limits = self.limits.as_ref();
        limits.is_some_and(|limits| limits.keys.get(key).is_some())
    }
}

/// Inputs: what happened.
impl<W: Waiter, J> Admission<W, J> {
    /// Puts `waiter` into the queue.
    ///
    /// # Errors
    ///
    /// [`Refused`] with the waiter, if the [phase](Self::phase) does not allow it or its key has
    /// gone.
    #[inline]
    pub fn submit(&mut self, waiter: W, request: Request) -> Result<Ticket, Refused<W>> {
        if !self.takes(request.front) {
            return Err(Refused {
                reason: Reason::Closed,
                waiter,
            });
        }
        if request == Request::default() {
            let weight = waiter.weight();
            self.is_plain &= weight == NonZeroU32::MIN;
            let ticket = self.lanes.push_plain(waiter, weight);
            self.check();
            return Ok(ticket);
        }
        self.enqueue(waiter, request)
    }

    #[inline(never)]
    fn enqueue(&mut self, waiter: W, request: Request) -> Result<Ticket, Refused<W>> {
        if request.key.is_some_and(|key| !self.has_key(key)) {
            return Err(Refused {
                reason: Reason::KeyGone,
                waiter,
            });
        }
        self.is_plain &= request.key.is_none()
            && request.level == Level::default()
            && waiter.weight() == NonZeroU32::MIN;
        let key = request.key.map(index);
        Ok(self.enqueue_at(request.level, key, waiter, request.front))
    }

    fn enqueue_at(&mut self, level: Level, key: Option<u32>, waiter: W, front: bool) -> Ticket {
        let key = key.and_then(|index| {
            let key = self.limits.as_mut()?.keys.at_mut(index)?;
            Some((index, &mut key.lanes))
        });
        let lane = match key {
            None => self.lanes.plain_lane(level),
            Some((index, lanes)) => self.lanes.lane_of_key(level, index, lanes),
        };
        let ticket = self.lanes.push(lane, waiter, front);
        self.check();
        ticket
    }

    /// Takes `slot` back: its holder has ended, and the slot is free.
    #[inline]
    pub fn finish(&mut self, slot: Slot) {
        if slot == Slot::PLAIN {
            self.held -= 1;
        } else {
            self.finish_other(slot);
        }
        self.check();
    }

    /// The holder of `slot`, which has [not paid](Waiter::pays), starts something of this level after
    /// all. Tells whether that is allowed now, also by the size; then it is counted.
    pub fn pay(&mut self, slot: &Slot, level: Level, now: Time) -> bool {
        if self.held > self.size.get() {
            return false;
        }
        if let Some(limits) = &mut self.limits {
            let key = slot.key.map(index_of);
            let held = limits.paused > now || limits.rates.ready_at() > now;
            if held
                || key
                    .and_then(|key| limits.keys.at(key))
                    .is_some_and(|key| key.is_held(now))
            {
                return false;
            }
            limits.rates.count(now);
            if let Some(key) = key.and_then(|key| limits.keys.at_mut(key)) {
                key.pay(now);
            }
        }
        self.lanes.count_start(level);
        true
    }

    /// As [`finish`](Self::finish), and there was no start: a `map` had no more items, say. It has
    /// [not paid](Waiter::pays) for one.
    pub fn take_back(&mut self, slot: Slot) {
        self.started = self.started.saturating_sub(1);
        self.finish(slot);
    }

    /// As [`take_back`](Self::take_back), of one that has paid at `at`, when the slot was given out. The
    /// rates do not count it any more, unless they have been changed since.
    pub fn refund(&mut self, slot: Slot, at: Time) {
        if let Some(limits) = &mut self.limits {
            if limits.changed_at.is_none_or(|changed_at| at > changed_at) {
                limits.rates.take_back(at);
            }
            if let Some(key) = slot.key.and_then(|key| limits.keys.at_mut(index_of(key))) {
                key.take_back(at);
            }
        }
        self.take_back(slot);
    }

    /// The holder of `slot` waits, and gives its slot back until then. Its key stays open.
    pub fn go_outside(&mut self, slot: Slot) -> Outside {
        let outside = Outside { key: slot.key };
        self.outside += 1;
        if let Some(key) = self.key_of(&outside) {
            key.go_outside();
        }
        self.finish(slot);
        outside
    }

    /// A job that is outside is done with waiting, and stands in the queue of this level and its key, at
    /// the front or at the back. It may in each phase but [`Closed`](Phase::Closed). It is outside until
    /// it is admitted, which [ends](Self::end_outside) that. Its waiter [has
    /// begun](Waiter::has_begun).
    ///
    /// # Errors
    ///
    /// [`Refused`] with the waiter, if the phase does not allow it.
    pub fn come_back(
        &mut self,
        outside: &Outside,
        waiter: W,
        level: Level,
        front: bool,
    ) -> Result<Ticket, Refused<W>> {
        debug_assert!(waiter.has_begun(), "it is counted as one that has not");
        if self.phase == Phase::Closed {
            return Err(Refused {
                reason: Reason::Closed,
                waiter,
            });
        }
        // It is looked at when it is admitted: see `take`.
        self.is_plain = false;
        Ok(self.enqueue_at(level, outside.key.map(index_of), waiter, front))
    }

    /// A job that is outside has ended there.
    #[expect(clippy::needless_pass_by_value, reason = "it is not outside any more")]
    pub fn end_outside(&mut self, outside: Outside) {
        self.outside -= 1;
        if let Some(key) = self.key_of(&outside) {
            key.end_outside();
        }
        if let (Some(key), Some(limits)) = (outside.key, &mut self.limits) {
            limits.tidy_key(index_of(key));
        }
    }

    /// A job that is outside has its slots from now on, be they free or not: an error is raised in
    /// it. No other is admitted until it fits again. No rate counts this.
    pub fn force(&mut self, outside: Outside, weight: NonZeroU32) -> Slot {
        let mut slot = self.occupy(weight);
        if let Some(key) = self.key_of(&outside) {
            key.start(Time::ZERO, false);
            slot.key = outside.key;
        }
        self.end_outside(outside);
        slot
    }

    /// From now until then a job holds its slots, unless that [ends](Self::end_timeout) before.
    /// [`poll_timed_out`](Self::poll_timed_out) gives its index, which is a small number that the face
    /// chooses, and no other job has now.
    pub fn begin_timeout(&mut self, index: u32, until: Time) {
        self.timeouts.set(index, until);
    }

    /// The job with this index ends, or waits outside. It need not have a timeout.
    #[inline]
    pub fn end_timeout(&mut self, index: u32) {
        self.timeouts.clear(index);
    }

    /// Adds a joiner, which [`poll_idle`](Self::poll_idle) gives when the pool is idle. If the pool
    /// is idle now, the next call gives it.
    pub fn join(&mut self, joiner: J) -> Ticket {
        self.joiners.push(joiner)
    }

    /// Adds a joiner, which [`poll_drained`](Self::poll_drained) gives when nothing is active.
    pub fn join_active(&mut self, joiner: J) -> Ticket {
        self.drainers.push(joiner)
    }

    /// Somebody leaves, and is to be dropped.
    pub fn begin_leaving(&mut self) -> Leaving {
        self.leaving += 1;
        Leaving(())
    }

    /// It has been dropped.
    #[expect(clippy::needless_pass_by_value, reason = "it leaves only once")]
    pub fn end_leaving(&mut self, leaving: Leaving) {
        let Leaving(()) = leaving;
        self.leaving -= 1;
    }
}

/// Commands: take inputs back, and change the limits.
impl<W: Waiter, J> Admission<W, J> {
    /// Takes a waiter out of the queue, wherever it stands. `None` if it is no longer in the queue.
    pub fn withdraw(&mut self, ticket: Ticket) -> Option<W> {
        let (waiter, lane) = self.lanes.remove(ticket)?;
        self.tidy(lane);
        self.check();
        Some(waiter)
    }

    /// Begins a walk along all waiters that are in the queue now. Others may come and leave
    /// meanwhile; [`walk_on`](Self::walk_on) gives those of one level and key in the order of the
    /// queue. All walks share one position: if a second walk begins before the first has ended, each
    /// waiter that is there by then is given to one of them.
    pub fn begin_walk(&mut self) -> Walk {
        self.lanes.begin_walk()
    }

    /// The next waiter on the walks under way; `None` at their end.
    pub fn walk_on(&mut self) -> Option<(Ticket, &W)> {
        self.lanes.walk_on()
    }

    /// Removes a joiner that [`join`](Self::join) has added. `None` if it has been told already.
    pub fn leave(&mut self, ticket: Ticket) -> Option<J> {
        self.joiners.remove(ticket)
    }

    /// Removes a joiner that [`join_active`](Self::join_active) has added. `None` if it has been told
    /// already.
    pub fn leave_active(&mut self, ticket: Ticket) -> Option<J> {
        self.drainers.remove(ticket)
    }

    /// From now on this is what may be handed in. Those who wait go on waiting.
    pub fn enter(&mut self, phase: Phase) {
        self.phase = phase;
    }

    /// Changes the number of slots. A job that does not fit any more goes on.
    pub fn resize(&mut self, size: NonZeroUsize) {
        self.size = size;
    }

    /// Changes the rates of the pool, which all have to agree; none: as many starts as there are
    /// slots. They keep the starts that those before remember.
    pub fn set_rates(&mut self, rates: &[Rate], now: Time) {
        let has_started = self.started > 0;
        let limits = self.limits();
        limits.held_by = None;
        limits.rates.change(rates, now);
        if has_started {
            limits.changed_at = Some(now);
        }
    }

    /// Nothing starts until then. A pool that is paused until later stays so.
    pub fn pause(&mut self, until: Time) {
        let limits = self.limits();
        limits.paused = limits.paused.max(until);
    }

    /// Ends the pause of the pool. Tells whether there was one.
    pub fn resume(&mut self, now: Time) -> bool {
        let Some(limits) = &mut self.limits else {
            return false;
        };
        limits.held_by = None;
        mem::take(&mut limits.paused) > now
    }

    /// Opens a key: so many of its jobs may be active at once, and its starts keep to these rates. It
    /// stays open while it has jobs, a pause, or starts that its rates count. Then
    /// [`poll_key_gone`](Self::poll_key_gone) gives it, also if it has never been used.
    pub fn open_key(&mut self, limit: Option<NonZeroU32>, rates: &[Rate]) -> KeyId {
        let limits = self.limits();
        let key = limits.keys.open(limit, rates);
        limits.tidy_key(index(key));
        key
    }

    /// As [`pause`](Self::pause), for the jobs of one key. False if the key has gone.
    pub fn pause_key(&mut self, key: KeyId, until: Time) -> bool {
        let Some((limits, index)) = self.key(key) else {
            return false;
        };
        if let Some(key) = limits.keys.at_mut(index) {
            key.pause(until);
        }
        limits.tidy_key(index);
        true
    }

    /// As [`resume`](Self::resume), for the jobs of one key.
    pub fn resume_key(&mut self, key: KeyId, now: Time) -> bool {
        let Some((limits, index)) = self.key(key) else {
            return false;
        };
        let resumed = limits
            .keys
            .at_mut(index)
            .map(|key| (key.resume(now), key.lanes));
        limits.tidy_key(index);
        let (was_paused, lanes) = resumed.unwrap_or((false, None));
        self.lanes.unpark(lanes);
        was_paused
    }
}

/// Outputs: what the face must do now.
impl<W: Waiter, J> Admission<W, J> {
    /// Whether the caller is the one that admits, until it [says](Self::end_advance) that it does
    /// not any more. Otherwise another does that already, and sees what has changed.
    #[inline]
    pub fn begin_advance(&mut self) -> bool {
        !mem::replace(&mut self.advancing, true)
    }

    /// Nobody admits any more.
    #[inline]
    pub fn end_advance(&mut self) {
        self.advancing = false;
    }

    /// Whether somebody admits.
    #[must_use]
    pub fn is_advancing(&self) -> bool {
        self.advancing
    }

    /// The next waiter to become active, with its slot. `None` if none may start now. What is
    /// [due](Self::poll_due) is to be done before.
    // Only this function decides which waiter goes next.
    #[inline]
    pub fn poll_admit(&mut self, now: Time) -> Option<Admitted<W>> {
        if !self.is_plain {
            return self.poll_limited(now);
        }
        if self.held >= self.size.get() {
            return None;
        }
        let (ticket, waiter) = self.lanes.pop_plain()?;
        self.held += 1;
        self.started += 1;
        self.check();
        Some(Admitted {
            slot: Slot::PLAIN,
            ticket,
            waiter,
        })
    }

    // Apart, so that a pool without limits does not pay for its registers.
    #[inline(never)]
    fn poll_limited(&mut self, now: Time) -> Option<Admitted<W>> {
        let (lane, weight, pays) = match self.next(now) {
            Ok(next) => next,
            Err(held_by) => {
                let limits = self.limits();
                limits.held_by = held_by;
                return None;
            }
        };
        let (ticket, waiter) = self.lanes.take(lane, pays)?;
        self.level = self.lanes.level(lane);
        let key = self.lanes.key(lane);
        let mut slot = self.occupy(weight);
        let limits = self.limits();
        limits.held_by = None;
        if pays {
            limits.rates.count(now);
        }
        if let Some((index, key)) = key.and_then(|key| Some((key, limits.keys.at_mut(key)?))) {
            key.start(now, pays);
            slot.key = Some(one_more(index));
        }
        self.started += u64::from(!waiter.has_begun());
        self.tidy(lane);
        self.check();
        Some(Admitted {
            slot,
            ticket,
            waiter,
        })
    }

    /// Who may start now, or what holds them back.
    fn next(&mut self, now: Time) -> Result<(LaneId, NonZeroU32, bool), Option<HeldBy>> {
        if self.lanes.waiting() == 0 {
            return Err(None);
        }
        let limits = self.limits.get_or_insert_default();
        if limits.paused > now {
            return Err(Some(HeldBy::Pause));
        }
        // It has ended: nobody need look at the clock for it any more.
        limits.paused = Time::ZERO;
        while let Some(lane) = self.lanes.candidate() {
            step();
            let (weight, pays) = self.lanes.first(lane).ok_or(None)?;
            if let Some(key) = self.lanes.key(lane) {
                let until = limits
                    .keys
                    .at(key)
                    .and_then(|key| key.blocked_until(now, pays));
                if let Some(until) = until {
                    // It lets others pass.
                    self.lanes.park(lane);
                    limits.look_at_key(key, until);
                    continue;
                }
            }
            if pays && limits.rates.ready_at() > now {
                return Err(Some(HeldBy::Rate));
            }
            if self.held + clamped(weight, self.size).get() as usize > self.size.get() {
                // Nobody of its level or below passes it: so heavy jobs get their turn.
                return Err(Some(HeldBy::Slots));
            }
            return Ok((lane, weight, pays));
        }
        Err(Some(HeldBy::Keys))
    }

    /// When [`poll_admit`](Self::poll_admit), after it has given `None`, or else
    /// [`poll_due`](Self::poll_due) or [`poll_timed_out`](Self::poll_timed_out) has something to do, if
    /// nothing happens until then.
    #[must_use]
    pub fn next_wake(&self) -> Option<Time> {
        let limits = self.limits.as_ref().and_then(|limits| self.next_of(limits));
        limits.into_iter().chain(self.timeouts.next()).min()
    }

    /// When the limits have something to do.
    fn next_of(&self, limits: &Limits) -> Option<Time> {
        // While no slot is free, the end of a job is waited for, however long ago it was asked what
        // holds the next one back.
        let start = match limits.held_by.filter(|_| self.may_admit()) {
            Some(HeldBy::Pause) => Some(limits.paused),
            Some(HeldBy::Rate) => Some(limits.rates.ready_at()),
            Some(HeldBy::Slots | HeldBy::Keys) | None => None,
        };
        let start = start.filter(|at| *at < Time::NEVER);
        start.into_iter().chain(limits.deadlines.next()).min()
    }

    /// Does what is due, or some of it: keys whose time has come are let go, or forgotten. Tells whether
    /// there may be more to do. Before that, [`poll_admit`](Self::poll_admit) does not know of all who
    /// may start.
    pub fn poll_due(&mut self, now: Time) -> bool {
        let Some(limits) = &mut self.limits else {
            return false;
        };
        for _ in 0..DUE_AT_ONCE {
            step();
            let Some(index) = limits.deadlines.pop_due(now) else {
                return false;
            };
            let lanes = limits.keys.at(index).and_then(|key| key.lanes);
            self.lanes.unpark(lanes);
            limits.forget_key(index, now);
        }
        true
    }

    /// The index of a job whose timeout has come. It has none from now on.
    pub fn poll_timed_out(&mut self, now: Time) -> Option<u32> {
        self.timeouts.pop_due(now)
    }

    /// A key that has gone. Its [index](KeyId::index) may be used again.
    pub fn poll_key_gone(&mut self) -> Option<KeyId> {
        self.limits.as_mut()?.keys.next_gone()
    }

    /// The next joiner to tell that the pool is idle. `None` if the pool is not idle, or all joiners
    /// have been told.
    pub fn poll_idle(&mut self) -> Option<J> {
        if !self.is_idle() {
            return None;
        }
        self.joiners.pop()
    }

    /// As [`poll_idle`](Self::poll_idle), all joiners at once: for a face that tells them when it
    /// has given its lock back.
    pub fn poll_all_idle(&mut self) -> Option<Drain<J>> {
        if !self.is_idle() {
            return None;
        }
        self.joiners.drain()
    }

    /// The joiners to tell that nothing is active, all at once.
    pub fn poll_drained(&mut self) -> Option<Drain<J>> {
        if self.active() > 0 {
            return None;
        }
        self.drainers.drain()
    }
}

impl<W: Waiter, J> Admission<W, J> {
    /// Somebody becomes active.
    fn occupy(&mut self, weight: NonZeroU32) -> Slot {
        let units = clamped(weight, self.size);
        self.held += units.get() as usize;
        self.surplus += units.get() as usize - 1;
        Slot { units, key: None }
    }

    /// The key of a job that is outside.
    fn key_of(&mut self, outside: &Outside) -> Option<&mut Key> {
        let limits = self.limits.as_deref_mut()?;
        limits.keys.at_mut(index_of(outside.key?))
    }

    /// A slot of more than one, or of a key, is free.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "who gives a slot back must not keep it"
    )]
    #[cold]
    fn finish_other(&mut self, slot: Slot) {
        self.held -= slot.units.get() as usize;
        self.surplus -= slot.units.get() as usize - 1;
        let (Some(key), Some(limits)) = (slot.key, &mut self.limits) else {
            return;
        };
        let index = index_of(key);
        let Some(key) = limits.keys.at_mut(index) else {
            return;
        };
        key.finish();
        // All of them: one alone may be of a level in which nobody has its turn for long.
        let lanes = key.lanes;
        limits.tidy_key(index);
        self.lanes.unpark(lanes);
    }

    /// Somebody has left a lane.
    fn tidy(&mut self, lane: LaneId) {
        let Some(limits) = &mut self.limits else {
            return;
        };
        let Some(index) = self.lanes.emptied(lane) else {
            return;
        };
        if let Some(key) = limits.keys.at_mut(index) {
            self.lanes.remove_lane(lane, &mut key.lanes);
        }
        limits.tidy_key(index);
    }

    /// The limits, which are there from now on.
    fn limits(&mut self) -> &mut Limits {
        self.is_plain = false;
        self.limits.get_or_insert_default()
    }

    fn key(&mut self, key: KeyId) -> Option<(&mut Limits, u32)> {
        let limits = self.limits.as_deref_mut()?;
        limits.keys.get(key)?;
        Some((limits, index(key)))
    }

    /// Checks the invariants that hold after every step. "no slot is free while a waiter waits" is
    /// not one of them: it holds once [`poll_admit`](Self::poll_admit) has returned `None`.
    #[inline]
    fn check(&self) {
        debug_assert!(
            self.surplus <= self.held,
            "more slots are counted than are held"
        );
        self.lanes.check();
    }
}

/// How many slots a waiter of this weight takes.
#[inline]
fn clamped(weight: NonZeroU32, size: NonZeroUsize) -> NonZeroU32 {
    NonZeroU32::try_from(size).map_or(weight, |size| size.min(weight))
}

fn index(key: KeyId) -> u32 {
    u32::try_from(key.index()).unwrap_or(u32::MAX)
}

/// An index is kept as one more than it is, so that an `Option` of it costs nothing.
fn one_more(index: u32) -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(index)
}

fn index_of(key: NonZeroU32) -> u32 {
    key.get() - 1
}

/// How much that is due is done at once.
const DUE_AT_ONCE: usize = 64;
