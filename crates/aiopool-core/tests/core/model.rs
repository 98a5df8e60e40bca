//! The pool as one would describe it on a napkin: lists of jobs, and a history of starts.

use std::collections::BTreeSet;

use aiopool_core::{HeldBy, Phase, Rate};

use crate::settings::{Job, Settings};

/// The level and the key of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Place {
    pub(crate) level: i8,
    pub(crate) key: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub(crate) place: Place,
    pub(crate) job: Job,
    pub(crate) front: bool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Active {
    waiting: Waiting,
    units: usize,
    /// Whether a start of it was counted.
    has_paid: bool,
    /// When that was, if it was when the slot was given out.
    paid_at: Option<u64>,
}

pub(crate) struct Model {
    pub(crate) now: u64,
    pub(crate) size: usize,
    pub(crate) phase: Phase,
    /// Those of one level and key in their order.
    pub(crate) waiting: Vec<Waiting>,
    pub(crate) active: Vec<Active>,
    pub(crate) outside: Vec<Waiting>,
    pub(crate) keys: [Key; KEYS],
    pub(crate) started: u64,
    /// Whom the walks have still to come by.
    pub(crate) to_walk: BTreeSet<u32>,
    paused: u64,
    meters: Vec<Meter>,
    /// When the rates were changed after starts, which are not taken back then.
    changed_at: Option<u64>,
    key_limit: Option<usize>,
    /// How many starts in a row were of the highest level while lower ones waited.
    in_a_row: u32,
    /// The lanes of a level that have had a turn while this one waited for its own.
    passed_by: Vec<(Place, BTreeSet<Place>)>,
}

pub(crate) struct Key {
    rates: &'static [Rate],
    meters: Vec<Meter>,
    paused: u64,
}

/// What the model says when somebody is to be admitted.
pub(crate) enum Verdict {
    Nobody(Option<HeldBy>),
    /// Those who may be in front, and what holds each of them.
    Somebody(Vec<Candidate>),
}

#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) number: u32,
    pub(crate) held_by: Option<HeldBy>,
    place: Place,
}

/// What a rate has seen.
#[derive(Debug, Clone)]
enum Meter {
    /// All its starts.
    Strict(Rate, Vec<u64>),
    /// How much is in the bucket, where a start takes `per` and each nanosecond brings `limit`; when
    /// that was; and the last start.
    Bucket(Rate, i128, u64, Option<u64>),
}

impl Model {
    pub(crate) fn new(settings: Settings) -> Self {
        let key = || Key {
            rates: settings.key_rates,
            meters: meters(settings.key_rates),
            paused: 0,
        };
        Self {
            now: 0,
            size: settings.size,
            phase: Phase::Open,
            waiting: Vec::new(),
            active: Vec::new(),
            outside: Vec::new(),
            keys: [key(), key()],
            started: 0,
            to_walk: BTreeSet::new(),
            paused: 0,
            meters: meters(settings.rates),
            changed_at: None,
            key_limit: settings.key_limit.map(|limit| limit.get() as usize),
            in_a_row: 0,
            passed_by: Vec::new(),
        }
    }

    pub(crate) fn held(&self) -> usize {
        self.active.iter().map(|active| active.units).sum()
    }

    pub(crate) fn wanted(&self) -> u64 {
        let waiting = self.waiting.iter();
        waiting
            .map(|waiting| u64::from(waiting.job.weight.get()))
            .sum()
    }

    /// How many stand in the queue that have not begun.
    pub(crate) fn waits(&self) -> usize {
        let waiting = self.waiting.iter();
        waiting.filter(|waiting| !waiting.job.begun).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.waits() + self.active.len() + self.outside.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn takes(&self, front: bool) -> bool {
        match self.phase {
            Phase::Open => true,
            Phase::Draining => front,
            Phase::Closed => false,
        }
    }

    /// All that matters of an active job.
    pub(crate) fn kind(&self, number: u32) -> (Option<usize>, usize, Option<u64>) {
        let active = self
            .active
            .iter()
            .find(|active| active.waiting.job.number == number);
        let active = active.expect("it is active");
        (active.waiting.place.key, active.units, active.paid_at)
    }

    pub(crate) fn places(&self) -> BTreeSet<Place> {
        self.waiting.iter().map(|waiting| waiting.place).collect()
    }

    pub(crate) fn place(&self, number: u32) -> Option<Place> {
        let waiting = self
            .waiting
            .iter()
            .find(|waiting| waiting.job.number == number);
        waiting.map(|waiting| waiting.place)
    }

    pub(crate) fn numbers_at(&self, place: Place) -> impl Iterator<Item = u32> + use<'_> {
        let waiting = self
            .waiting
            .iter()
            .filter(move |waiting| waiting.place == place);
        waiting.map(|waiting| waiting.job.number)
    }

    pub(crate) fn submit(&mut self, waiting: Waiting, front: bool) {
        if front {
            self.waiting.insert(0, waiting);
            // It has its turn at once, whoever waits for one.
            for (_, passed_by) in &mut self.passed_by {
                passed_by.remove(&waiting.place);
            }
        } else {
            self.waiting.push(waiting);
        }
    }

    pub(crate) fn withdraw(&mut self, number: u32) -> Waiting {
        let index = self
            .waiting
            .iter()
            .position(|waiting| waiting.job.number == number);
        self.to_walk.remove(&number);
        self.waiting.remove(index.expect("it waits"))
    }

    /// Who may be admitted next, by what is promised.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.waiting.is_empty() {
            return Verdict::Nobody(None);
        }
        if self.paused > self.now {
            return Verdict::Nobody(Some(HeldBy::Pause));
        }
        let startable: Vec<_> = self.startable().collect();
        let Some(highest) = startable.iter().map(|place| place.level).max() else {
            return Verdict::Nobody(Some(HeldBy::Keys));
        };
        let may_be_in_front = |place: &&Place| place.level == highest || self.in_a_row >= 16;
        let places = startable.iter().filter(may_be_in_front);
        Verdict::Somebody(places.map(|place| self.candidate(*place)).collect())
    }

    pub(crate) fn start(&mut self, number: u32, candidates: &[Candidate]) {
        let highest = candidates
            .iter()
            .map(|candidate| candidate.place.level)
            .max();
        let waiting = self.withdraw(number);
        if waiting.job.pays {
            self.count_start(waiting.place.level, highest);
        }
        self.take_turn(&waiting);
        let mut active = self.occupy(waiting);
        if waiting.job.pays {
            self.meters
                .iter_mut()
                .for_each(|meter| meter.count(self.now));
            if let Some(key) = waiting.place.key {
                let meters = &mut self.keys[key].meters;
                for meter in meters {
                    meter.count(self.now);
                }
            }
            (active.has_paid, active.paid_at) = (true, Some(self.now));
        }
        self.active.push(active);
        self.started += u64::from(!waiting.job.begun);
    }

    /// A start of a level, where this is the highest of those that might have been in front.
    fn count_start(&mut self, level: i8, highest: Option<i8>) {
        let waits_below = self.waiting.iter().any(|other| other.place.level < level);
        self.in_a_row = if highest.is_none_or(|highest| highest <= level) && waits_below {
            self.in_a_row + 1
        } else {
            0
        };
    }

    pub(crate) fn level_of_active(&self, number: u32) -> i8 {
        let mut active = self.active.iter().map(|active| active.waiting);
        let waiting = active.find(|waiting| waiting.job.number == number);
        waiting.expect("it is active").place.level
    }

    pub(crate) fn finish(&mut self, number: u32) -> Active {
        let active = self.active.iter();
        let index = active
            .map(|active| active.waiting.job.number)
            .position(|other| other == number);
        self.active.remove(index.expect("it is active"))
    }

    /// Whether it has not paid, and so has not started. One that has has ended.
    pub(crate) fn take_back(&mut self, number: u32) -> bool {
        let active = self.finish(number);
        let has_not = !active.has_paid && !active.waiting.job.begun;
        self.started -= u64::from(has_not);
        has_not
    }

    /// As if one had not started that has paid. Gives when that was.
    pub(crate) fn refund(&mut self, number: u32) -> Option<u64> {
        let active = self.finish(number);
        let at = active.paid_at.filter(|_| !active.waiting.job.begun)?;
        self.started -= 1;
        if self.changed_at.is_none_or(|changed_at| at > changed_at) {
            let meters = self.meters.iter_mut();
            meters.for_each(|meter| meter.take_back(at, self.now));
        }
        if let Some(key) = active.waiting.place.key {
            let meters = &mut self.keys[key].meters;
            for meter in meters {
                meter.take_back(at, self.now);
            }
        }
        Some(at)
    }

    /// Whether all rates allow a start now, which they count then.
    pub(crate) fn pay(&mut self, number: u32) -> bool {
        let paused_keys = [0, 1].map(|key: usize| self.keys[key].paused);
        let (highest, held) = (self.startable().map(|place| place.level).max(), self.held());
        let mut active = self.active.iter_mut();
        let active = active.find(|active| active.waiting.job.number == number);
        let active = active.expect("it is active");
        let level = active.waiting.place.level;
        let key = active.waiting.place.key;
        let of_key = key.map(|key| &mut self.keys[key].meters);
        let meters = self.meters.iter_mut().chain(of_key.into_iter().flatten());
        let mut meters: Vec<_> = meters.collect();
        let is_paused =
            self.paused > self.now || key.is_some_and(|key| paused_keys[key] > self.now);
        let fits = held <= self.size;
        let pays = fits && !is_paused && meters.iter().all(|meter| meter.lets(self.now));
        if pays {
            for meter in &mut meters {
                meter.count(self.now);
            }
            active.has_paid = true;
            self.count_start(level, highest);
        }
        pays
    }

    pub(crate) fn go_outside(&mut self, number: u32) {
        let active = self.finish(number);
        self.outside.push(active.waiting);
    }

    pub(crate) fn outside(&self, number: u32) -> Waiting {
        let mut outside = self.outside.iter();
        let outside = outside.find(|outside| outside.job.number == number);
        *outside.expect("it is outside")
    }

    pub(crate) fn end_outside(&mut self, number: u32) -> Waiting {
        let outside = self.outside.iter();
        let index = outside
            .map(|outside| outside.job.number)
            .position(|other| other == number);
        self.outside.remove(index.expect("it is outside"))
    }

    /// Gives its weight.
    pub(crate) fn force(&mut self, number: u32) -> u32 {
        let waiting = self.end_outside(number);
        let active = self.occupy(waiting);
        self.active.push(active);
        waiting.job.weight.get()
    }

    pub(crate) fn begin_walk(&mut self) {
        self.to_walk = self
            .waiting
            .iter()
            .map(|waiting| waiting.job.number)
            .collect();
    }

    /// A walk has come by somebody, who came before the others of the same level and key.
    pub(crate) fn walked(&mut self, number: u32) {
        let place = self.place(number).expect("it waits");
        let first = self
            .numbers_at(place)
            .find(|other| self.to_walk.contains(other));
        assert_eq!(first, Some(number));
        self.to_walk.remove(&number);
    }

    pub(crate) fn set_rates(&mut self, rates: &'static [Rate]) {
        if self.started > 0 {
            self.changed_at = Some(self.now);
        }
        // One that was there before stays as it is.
        let mut old = std::mem::take(&mut self.meters);
        let all = old.clone();
        for rate in rates {
            let known = old.iter().position(|meter| meter.rate() == *rate);
            let meter = known.map(|index| old.remove(index));
            let meter = meter.unwrap_or_else(|| Meter::after(*rate, &all, self.now));
            self.meters.push(meter);
        }
    }

    pub(crate) fn pause(&mut self, nanos: Option<u64>) {
        self.paused = self.paused.max(until(self.now, nanos));
    }

    pub(crate) fn resume(&mut self) -> bool {
        std::mem::take(&mut self.paused) > self.now
    }

    /// A key may go only if nothing is to be remembered of it.
    pub(crate) fn forget_key(&mut self, index: usize) {
        let of_key = |waiting: &Waiting| waiting.place.key == Some(index);
        assert!(
            !self.waiting.iter().any(of_key),
            "a key goes that has waiters"
        );
        assert!(!self.active.iter().any(|active| of_key(&active.waiting)));
        assert!(!self.outside.iter().any(of_key), "a job of it is outside");
        let key = &mut self.keys[index];
        assert!(key.paused <= self.now, "a key goes that is paused");
        for meter in &key.meters {
            assert!(!meter.counts(self.now), "a key goes whose starts count");
        }
        key.meters = meters(key.rates);
    }

    /// After each step: who may not start now does not wait for a turn.
    pub(crate) fn look(&mut self) {
        let startable: Vec<_> = self.startable().collect();
        self.passed_by
            .retain(|(place, _)| startable.contains(place));
        for place in startable {
            if !self.passed_by.iter().any(|(other, _)| *other == place) {
                self.passed_by.push((place, BTreeSet::new()));
            }
        }
    }

    /// No lane has two turns while another of its level waits for one. What stands at the front takes
    /// nobody's turn.
    fn take_turn(&mut self, waiting: &Waiting) {
        let place = waiting.place;
        self.passed_by.retain(|(other, _)| *other != place);
        let level = |place: &Place| place.level == waiting.place.level && !waiting.front;
        for (other, passed_by) in self.passed_by.iter_mut().filter(|(other, _)| level(other)) {
            assert!(passed_by.insert(place), "{place:?} passes {other:?} twice");
        }
    }

    /// The places whose keys let the first one start now.
    fn startable(&self) -> impl Iterator<Item = Place> + use<'_> {
        let places = self.places().into_iter();
        places.filter(|place| self.lets(*place))
    }

    fn occupy(&self, waiting: Waiting) -> Active {
        Active {
            waiting,
            units: self.units(waiting.job),
            has_paid: false,
            paid_at: None,
        }
    }

    fn units(&self, job: Job) -> usize {
        self.size.min(job.weight.get() as usize)
    }

    /// Whether its key lets the first at a place start now.
    fn lets(&self, place: Place) -> bool {
        let first = self.waiting.iter().find(|waiting| waiting.place == place);
        let (Some(index), Some(first)) = (place.key, first) else {
            return true;
        };
        let key = &self.keys[index];
        let active = self
            .active
            .iter()
            .filter(|active| active.waiting.place.key == Some(index));
        key.paused <= self.now
            && self.key_limit.is_none_or(|limit| active.count() < limit)
            && (!first.job.pays || key.meters.iter().all(|meter| meter.lets(self.now)))
    }

    fn candidate(&self, place: Place) -> Candidate {
        let first = self.waiting.iter().find(|waiting| waiting.place == place);
        let job = first.expect("somebody waits there").job;
        let held_by = if job.pays && !self.meters.iter().all(|meter| meter.lets(self.now)) {
            Some(HeldBy::Rate)
        } else {
            (self.held() + self.units(job) > self.size).then_some(HeldBy::Slots)
        };
        Candidate {
            number: job.number,
            held_by,
            place,
        }
    }
}

impl Key {
    pub(crate) fn pause(&mut self, now: u64, nanos: Option<u64>) {
        self.paused = self.paused.max(until(now, nanos));
    }

    pub(crate) fn resume(&mut self, now: u64) -> bool {
        std::mem::take(&mut self.paused) > now
    }
}

impl Meter {
    fn lets(&self, now: u64) -> bool {
        match self {
            Self::Strict(rate, starts) => {
                let in_window = starts.iter().filter(|at| *at + rate.per.get() > now);
                in_window.count() < rate.limit.get() as usize
            }
            Self::Bucket(rate, ..) => self.level(now) >= i128::from(rate.per.get()),
        }
    }

    fn count(&mut self, now: u64) {
        let level = self.level(now);
        match self {
            Self::Strict(_, starts) => starts.push(now),
            Self::Bucket(rate, filled, at, last) => {
                (*filled, *at) = (level - i128::from(rate.per.get()), now);
                *last = Some(now);
            }
        }
    }

    fn rate(&self) -> Rate {
        match self {
            Self::Strict(rate, _) | Self::Bucket(rate, ..) => *rate,
        }
    }

    /// A new one, after all of these: it has seen as much as the one that has seen most.
    fn after(rate: Rate, all: &[Self], now: u64) -> Self {
        let [fresh] = <[Self; 1]>::try_from(meters(&[rate])).expect("one for each");
        let learned = all.iter().map(|other| {
            let mut learned = fresh.clone();
            match (other.counting(now), other.lack(now)) {
                (Some(starts), _) => starts.iter().for_each(|at| learned.count(*at)),
                (None, Some((missing, per))) => learned.lack_as_much(missing, per, now),
                (None, None) => {}
            }
            learned
        });
        // Of two that have seen as much the first.
        let most = |most: Self, other: Self| {
            if other.seen(now) > most.seen(now) {
                other
            } else {
                most
            }
        };
        learned.fold(fresh.clone(), most)
    }

    fn seen(&self, now: u64) -> i128 {
        match self {
            Self::Strict(_, starts) => starts.len() as i128,
            Self::Bucket(..) => self.lack(now).map_or(0, |(missing, _)| missing),
        }
    }

    fn take_back(&mut self, start: u64, now: u64) {
        let level = self.level(now);
        match self {
            Self::Strict(_, starts) => {
                if let Some(index) = starts.iter().rposition(|at| *at == start) {
                    starts.remove(index);
                }
            }
            // One that is not the last is lost: the bucket may have been full without it too.
            Self::Bucket(rate, filled, at, last) if *last == Some(start) => {
                let full = i128::from(rate.per.get()) * i128::from(burst(*rate));
                (*filled, *at) = (full.min(level + i128::from(rate.per.get())), now);
            }
            Self::Bucket(..) => {}
        }
    }

    /// Whether anything that it has seen still matters.
    fn counts(&self, now: u64) -> bool {
        match self {
            Self::Strict(rate, starts) => starts.iter().any(|at| at + rate.per.get() > now),
            Self::Bucket(..) => self.lack(now).is_some_and(|(missing, _)| missing > 0),
        }
    }

    fn counting(&self, now: u64) -> Option<Vec<u64>> {
        match self {
            Self::Strict(rate, starts) => {
                let counting = starts.iter().filter(|at| *at + rate.per.get() > now);
                Some(counting.copied().collect())
            }
            Self::Bucket(..) => None,
        }
    }

    fn lack(&self, now: u64) -> Option<(i128, i128)> {
        match self {
            Self::Strict(..) => None,
            Self::Bucket(rate, ..) => {
                let per = i128::from(rate.per.get());
                Some((per * i128::from(burst(*rate)) - self.level(now), per))
            }
        }
    }

    fn lack_as_much(&mut self, missing: i128, per: i128, now: u64) {
        match self {
            Self::Strict(rate, starts) => {
                let whole = usize::try_from((missing + per - 1) / per).expect("it is small");
                starts.extend(vec![now; whole.min(rate.limit.get() as usize)]);
            }
            Self::Bucket(rate, filled, at, _) => {
                let own = i128::from(rate.per.get());
                let missing = (missing * own + per - 1) / per;
                (*filled, *at) = (own * i128::from(burst(*rate)) - missing, now);
            }
        }
    }

    /// What is in a bucket.
    fn level(&self, now: u64) -> i128 {
        match self {
            Self::Strict(..) => 0,
            Self::Bucket(rate, filled, at, _) => {
                let full = i128::from(rate.per.get()) * i128::from(burst(*rate));
                let since = i128::from(now) - i128::from(*at);
                full.min(filled + since * i128::from(rate.limit.get()))
            }
        }
    }
}

fn meters(rates: &[Rate]) -> Vec<Meter> {
    let meter = |rate: &Rate| {
        if rate.burst.is_none() {
            return Meter::Strict(*rate, Vec::new());
        }
        let full = i128::from(rate.per.get()) * i128::from(burst(*rate));
        Meter::Bucket(*rate, full, 0, None)
    };
    rates.iter().map(meter).collect()
}

fn burst(rate: Rate) -> u32 {
    rate.burst.map_or(0, std::num::NonZeroU32::get)
}

fn until(now: u64, nanos: Option<u64>) -> u64 {
    nanos.map_or(u64::MAX, |nanos| now + nanos)
}

/// How many keys a world has.
pub(crate) const KEYS: usize = 2;
