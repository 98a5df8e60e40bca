//! What a pool knows under its one lock: the core with all who wait, and the workers.

pub(crate) mod active;
pub(crate) mod signal;
pub(crate) mod workers;

use std::collections::VecDeque;
use std::mem;
use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Waker;

use aiopool_core::{Admission, Admitted, Slot, Ticket};
use slab::Slab;

use crate::job::body::Ended;
use crate::source::results::Results;
use crate::source::{AnyResults, Item, Source, SourceId};
use crate::state::active::{Post, Taken, Waiter, Work};
use crate::state::signal::{Group, Tether};
use crate::state::workers::{Crew, Respite, Summons};
use crate::sys::runtime::Handle;
use crate::sys::sync::{Mutex, MutexGuard, Ordering, Patience};

/// A source that has not been abandoned.
pub(crate) struct Seat {
    pub(crate) serial: u64,
    /// Its place while it stands in the line.
    pub(crate) ticket: Option<Ticket>,
    pub(crate) results: Box<dyn AnyResults>,
}

/// The inside of a pool.
pub(crate) struct Shared {
    pub(crate) size: NonZeroUsize,
    pub(crate) state: Mutex<State>,
}

/// The state of a pool. Nothing foreign is called, cloned or dropped under its lock.
pub(crate) struct State {
    pub(crate) admission: Admission<Waiter, Waker>,
    /// One for each slot that is held.
    pub(crate) posts: Slab<Post>,
    /// For each withdrawal under way, whose jobs have left the line and have not all been dropped,
    /// those who wait for its end.
    pub(crate) withdrawals: Slab<Vec<Arc<Group>>>,
    /// The workers, one crew for each runtime.
    pub(crate) crews: Slab<Crew>,
    /// What the workers can be stopped by.
    pub(crate) tethers: Slab<Arc<Tether>>,
    /// The sources of maps and streams. A source that is not here has been abandoned.
    pub(crate) sources: Slab<Seat>,
    pub(crate) next_source: u64,
    /// How many sources workers ask for an item just now.
    pub(crate) asked: usize,
    /// How many workers keep the slot of a job that has ended until a source has been asked.
    pub(crate) lying_in_wait: usize,
    /// Whether somebody starts those who are admitted.
    pub(crate) starting: bool,
    pub(crate) executed: u64,
}

impl Shared {
    pub(crate) fn new(size: NonZeroUsize) -> Arc<Self> {
        let state = State {
            admission: Admission::new(size),
            posts: Slab::new(),
            withdrawals: Slab::new(),
            crews: Slab::new(),
            tethers: Slab::new(),
            sources: Slab::new(),
            next_source: 0,
            asked: 0,
            lying_in_wait: 0,
            starting: false,
            executed: 0,
        };
        Arc::new(Self {
            size,
            state: Mutex::new(state),
        })
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }

    /// The lock for a worker whose job has ended. While nobody waits, but another thread asks a
    /// source for an item, it waits a moment for the source to come back to the line: otherwise it
    /// would give its slot back, and the other thread would have to see to it that it is taken.
    pub(crate) fn lock_at_end(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        let mut patience = Patience::with_others();
        while state.asked > 0 && state.admission.waiting() == 0 && patience.is_left() {
            state.lying_in_wait += 1;
            drop(state);
            patience.wait();
            state = self.lock();
            state.lying_in_wait -= 1;
        }
        state
    }

    /// Whether the waiter with this ticket has not been started or withdrawn yet.
    pub(crate) fn is_waiting(&self, ticket: Ticket) -> bool {
        self.lock().admission.get(ticket).is_some()
    }
}

impl State {
    /// Opens a post for a waiter that has been admitted. A worker that is given back is to be
    /// started, under no lock.
    pub(crate) fn open_post(&mut self, admitted: Admitted<Waiter>) -> Option<Summons> {
        let crew = admitted.waiter.crew();
        let Taken { key, slot, work } = self.new_post(admitted);
        self.offer(key, slot, work, crew)
    }

    /// Opens a post to all workers of a crew, and employs one more if too few are looking.
    pub(crate) fn offer(
        &mut self,
        key: usize,
        slot: Slot,
        work: Work,
        crew: usize,
    ) -> Option<Summons> {
        self.posts[key].open = Some((slot, work));
        let Crew { looking, open, .. } = &mut self.crews[crew];
        open.push_back(key);
        if open.len() <= *looking {
            return None;
        }
        if let Some(sleeper) = self.summon(crew) {
            return Some(Summons::Sleeper(sleeper));
        }
        let Crew {
            home,
            workers,
            looking,
            ..
        } = &mut self.crews[crew];
        *workers += 1;
        *looking += 1;
        // A handle of Tokio is a count: what is cloned here runs nothing, unlike its last drop.
        let home = home.clone();
        Some(Summons::Recruit { crew, home })
    }

    /// Whether nobody waits and nothing is active, nor being dropped.
    pub(crate) fn is_idle(&self) -> bool {
        self.admission.is_empty() && self.withdrawals.is_empty()
    }

    /// Those who wait for an idle pool, if it is idle.
    pub(crate) fn idle(&mut self) -> Vec<Waker> {
        if !self.is_idle() {
            return Vec::new();
        }
        std::iter::from_fn(|| self.admission.poll_idle()).collect()
    }
}

impl State {
    /// The key of the crew on `home`, for somebody who takes a place in the line under the same
    /// lock; and the handle if it is not needed, to be dropped under no lock.
    pub(crate) fn crew_on(&mut self, home: Handle) -> (usize, Option<Handle>) {
        let id = home.id();
        let mut crews = self.crews.iter();
        if let Some((key, _)) = crews.find(|(_, crew)| crew.home.id() == id) {
            return (key, Some(home));
        }
        let key = self.crews.insert(Crew {
            home,
            waiting: 0,
            workers: 0,
            looking: 0,
            open: VecDeque::new(),
            sources: 0,
            sleeping: Vec::new(),
        });
        (key, None)
    }

    /// `waiter` takes the last place in the line, to be run by the crew at this key.
    #[inline]
    pub(crate) fn submit(&mut self, waiter: Waiter, crew: usize) -> Ticket {
        if let Waiter::Job(job) = &waiter {
            job.waits_for(crew);
        }
        self.crews[crew].waiting += 1;
        match self.admission.submit(waiter) {
            Ok(ticket) => ticket,
            Err(_) => unreachable!("this face never closes its core"),
        }
    }

    /// Who is next in the line, if a slot is free. Its crew is to be given the work under the same
    /// lock.
    #[inline]
    pub(crate) fn admit(&mut self) -> Option<Admitted<Waiter>> {
        let admitted = self.admission.poll_admit()?;
        self.crews[admitted.waiter.crew()].waiting -= 1;
        Some(admitted)
    }

    /// Takes a waiter out of the line. Afterwards its crew is perhaps to be
    /// [dismissed](Self::dismiss).
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<Waiter> {
        let waiter = self.admission.withdraw(ticket)?;
        self.crews[waiter.crew()].waiting -= 1;
        Some(waiter)
    }

    /// Forgets the crews without a worker for whom nobody waits. Their handles are to be dropped
    /// under no lock.
    pub(crate) fn dismiss(&mut self) -> Vec<Handle> {
        let crews = self.crews.iter().filter(|(_, crew)| crew.is_idle());
        let keys: Vec<_> = crews.map(|(key, _)| key).collect();
        keys.into_iter()
            .map(|key| self.crews.remove(key).home)
            .collect()
    }

    /// A post for what was admitted, to be opened or taken up at once.
    pub(crate) fn new_post(&mut self, admitted: Admitted<Waiter>) -> Taken {
        let key = self.posts.insert(Post::new(&admitted));
        Taken::new(key, admitted)
    }

    /// Whether a worker of this crew that is free now may take up `waiter` before all open posts.
    pub(crate) fn is_for(&self, waiter: &Waiter, crew: usize) -> bool {
        waiter.crew() == crew && self.crews[crew].open.is_empty()
    }

    /// A worker whose job has ended keeps its post for what was admitted. Gives those who waited for
    /// the end.
    pub(crate) fn keep_post(
        &mut self,
        key: usize,
        admitted: Admitted<Waiter>,
    ) -> (Taken, Option<Vec<Arc<Group>>>) {
        let post = &mut self.posts[key];
        (post.ticket, post.source) = (admitted.ticket, admitted.waiter.source());
        let watchers = (!post.watchers.is_empty()).then(|| post.take_watchers());
        let mut taken = Taken::new(key, admitted);
        self.ask(&mut taken.work);
        (taken, watchers)
    }

    /// A worker of this crew is about to look for an open post.
    pub(crate) fn looks(&mut self, crew: usize) {
        self.crews[crew].looking += 1;
    }

    /// A worker that was looking takes up the first open post, if there is one.
    pub(crate) fn claim(&mut self, crew: usize, worker: Option<usize>) -> Option<Taken> {
        let crew = &mut self.crews[crew];
        let key = crew.open.pop_front()?;
        crew.looking -= 1;
        let (slot, mut work) = self.posts[key].open.take()?;
        self.take_up(key, &mut work, worker);
        Some(Taken { key, slot, work })
    }

    /// A worker takes up a post, and with it the news that its job is to be stopped.
    pub(crate) fn take_up(&mut self, key: usize, work: &mut Work, worker: Option<usize>) {
        self.ask(work);
        let post = &mut self.posts[key];
        post.worker = worker;
        if let Some(tether) = worker.and_then(|worker| self.tethers.get(worker)) {
            tether
                .stop
                .store(mem::take(&mut post.stop), Ordering::Relaxed);
        }
    }

    /// A source is asked by this crew from now on.
    pub(crate) fn source_begins(&mut self, crew: usize) {
        self.crews[crew].sources += 1;
    }

    /// A source has ended: who is to look whether there is still something to do, and crews that
    /// are no longer needed, whose handles are to be dropped under no lock.
    pub(crate) fn source_ends(&mut self, crew: usize) -> (Vec<Arc<Tether>>, Vec<Handle>) {
        self.crews[crew].sources -= 1;
        let mut woken = Vec::new();
        if self.crews[crew].sources == 0 {
            woken.extend(std::iter::from_fn(|| self.summon(crew)));
        }
        (woken, self.dismiss())
    }

    /// A sleeper, who is looking from now on.
    pub(crate) fn summon(&mut self, crew: usize) -> Option<Arc<Tether>> {
        let crew = &mut self.crews[crew];
        while let Some(key) = crew.sleeping.pop() {
            let tether = self.tethers.get(key);
            if let Some(tether) = tether.filter(|tether| tether.wakes()) {
                crew.looking += 1;
                return Some(tether.clone());
            }
        }
        None
    }

    /// A worker that was looking has found nothing, and looks again later.
    pub(crate) fn rest(&mut self, crew: usize, worker: Option<usize>) -> Respite {
        let crew = &mut self.crews[crew];
        let key_and_tether = worker.and_then(|key| Some((key, self.tethers.get(key)?)));
        match key_and_tether {
            Some((key, tether)) if crew.sources > 0 => {
                tether.sleeps();
                crew.looking -= 1;
                crew.sleeping.push(key);
                Respite::Sleep
            }
            _ => Respite::Linger,
        }
    }

    /// The worker of a post leaves it to another.
    pub(crate) fn lay_down(&mut self, key: usize) {
        let post = &mut self.posts[key];
        let tether = post
            .worker
            .take()
            .and_then(|worker| self.tethers.get(worker));
        post.stop = tether.is_some_and(|tether| tether.is_pulled());
    }

    /// A worker lays its post down and looks for one, this or another, when the other tasks have
    /// had their turn.
    pub(crate) fn postpone(&mut self, key: usize, slot: Slot, mut work: Work, crew: usize) {
        self.lay_down(key);
        if let Work::Pull(source) = &mut work {
            self.is_asked_no_more(source);
        }
        self.posts[key].open = Some((slot, work));
        let crew = &mut self.crews[crew];
        crew.open.push_front(key);
        crew.looking += 1;
    }

    /// A worker that was looking leaves its crew, or one that was not. What it gives is to be
    /// dropped under no lock.
    pub(crate) fn leave(
        &mut self,
        key: usize,
        was_looking: bool,
        worker: Option<usize>,
    ) -> (Option<Arc<Tether>>, Option<Handle>) {
        let crew = &mut self.crews[key];
        crew.workers -= 1;
        crew.looking -= usize::from(was_looking);
        let home = crew.is_idle().then(|| self.crews.remove(key).home);
        let tether = worker.map(|worker| self.tethers.remove(worker));
        // What is cancelled or counted is looked for among the places too that a peak has left.
        if self.posts.is_empty() {
            self.posts.shrink_to_fit();
        }
        (tether, home)
    }

    /// The job of a post is to be stopped: by its worker, whose tether is to be pulled under no
    /// lock, or by the one that takes it up.
    pub(crate) fn stop(&mut self, key: usize) -> Option<Arc<Tether>> {
        let post = self.posts.get_mut(key)?;
        let Some(tether) = post.worker.and_then(|worker| self.tethers.get(worker)) else {
            post.stop = true;
            return None;
        };
        tether.stop.store(true, Ordering::Relaxed);
        Some(tether.clone())
    }
}

impl State {
    /// A source that has not been abandoned takes the last place in the line.
    pub(crate) fn line_up(&mut self, source: Box<Source>) {
        let (key, crew) = (source.id.key, source.crew);
        let ticket = self.submit(Waiter::Source(source), crew);
        self.sources[key].ticket = Some(ticket);
    }

    /// Forgets the source with this id: what is known of it, and itself if it stands in the line.
    pub(crate) fn forget_source(&mut self, id: SourceId) -> Option<(Seat, Option<Waiter>)> {
        self.seat(id)?;
        let seat = self.sources.remove(id.key);
        let source = seat.ticket.and_then(|ticket| self.withdraw(ticket));
        Some((seat, source))
    }

    /// The results of a source that has not been abandoned.
    pub(crate) fn results(&mut self, id: SourceId) -> Option<&mut dyn AnyResults> {
        Some(&mut *self.seat(id)?.results)
    }

    /// The results of a source for its reader.
    pub(crate) fn results_of<T: 'static>(&mut self, id: SourceId) -> &mut Results<T> {
        let results = self
            .results(id)
            .and_then(|results| results.as_any().downcast_mut());
        results.expect("a source has the results of its reader as long as that is there")
    }

    /// An item has ended: its result goes to its source. Tells whether somebody wants it, or it is
    /// still there, to be discarded under no lock.
    pub(crate) fn put(&mut self, item: Pin<&mut dyn Item>, ended: &mut Ended) -> bool {
        let Some(results) = self.results(item.source()) else {
            return false;
        };
        ended.waker = item.put(results);
        true
    }

    /// A worker is about to ask the source, if it has been given the turn of one: there has to be a
    /// place for the item, unless nobody wants it any more.
    pub(crate) fn ask(&mut self, work: &mut Work) {
        let Work::Pull(source) = work else { return };
        (source.reserved, source.is_asked) = match (self.results(source.id), source.reserved) {
            (Some(results), None) => (Some(results.reserve()), true),
            (Some(_), reserved) => (reserved, true),
            (None, _) => (None, true),
        };
        self.asked += 1;
    }

    /// Nobody asks the source now.
    pub(crate) fn is_asked_no_more(&mut self, source: &mut Source) {
        self.asked -= usize::from(mem::take(&mut source.is_asked));
    }

    pub(crate) fn seat(&mut self, id: SourceId) -> Option<&mut Seat> {
        let seat = self.sources.get_mut(id.key)?;
        (seat.serial == id.serial).then_some(seat)
    }
}

impl State {
    /// Jobs have left the line: until they have been dropped the pool is not idle, and who cancels
    /// all of its jobs waits.
    pub(crate) fn begin_withdrawal(&mut self) -> usize {
        self.withdrawals.insert(Vec::new())
    }

    /// Stops the jobs of these posts: what is to be pulled under no lock.
    pub(crate) fn stop_where(&mut self, condition: impl Fn(&Post) -> bool) -> Vec<Arc<Tether>> {
        let posts = self.posts.iter().filter(|(_, post)| condition(post));
        let keys: Vec<_> = posts.map(|(key, _)| key).collect();
        keys.into_iter().filter_map(|key| self.stop(key)).collect()
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::Ready;

    use super::*;
    use crate::job::body::Caught;
    use crate::job::cell::{Cell, Heir};

    #[test]
    fn a_waiting_job_costs_at_most_a_hundred_bytes_beyond_its_future() {
        let allocation = size_of::<Cell<Caught<Ready<u64>>>>() + HEAD_OF_AN_ALLOCATION;
        let place = size_of::<Option<Waiter>>() + LINK_OF_A_PLACE;
        let all = allocation + place + size_of::<(Heir<u64>, Arc<Shared>, Ticket)>();
        assert!(all - size_of::<Ready<u64>>() <= 100, "{all}");
    }

    /// What the allocator of glibc keeps.
    const HEAD_OF_AN_ALLOCATION: usize = 8;
    /// As the core has a test for.
    const LINK_OF_A_PLACE: usize = 8;
}
