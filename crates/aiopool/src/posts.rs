//! Posts and crews: what each slot is held for, and the workers of each runtime, who take the
//! posts up.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use aiopool_core::{Admitted, Slot, Ticket};

use crate::line::{Shared, State, Waiter};
use crate::runtime::Handle;
use crate::source::SourceId;
use crate::stop::{Group, Tether};
use crate::sync::Ordering;
use crate::worker::{Recruit, Work};

/// What a slot is held for.
pub(crate) struct Post {
    /// The place that the job, or its source, had in the line.
    ticket: Ticket,
    /// The source whose item it is.
    source: Option<SourceId>,
    /// The slot and the work, until a worker takes them up.
    open: Option<(Slot, Work)>,
    /// The key of the tether of the worker that has taken it up.
    worker: Option<usize>,
    /// Whether the job is to be stopped when a worker takes it up.
    stop: bool,
    /// Those who wait for the end of the job.
    watchers: Vec<Arc<Group>>,
}

/// The workers on one runtime. It is there while somebody waits for them or they are: a waiter need
/// only know its key.
pub(crate) struct Crew {
    home: Handle,
    /// How many of those who stand in the line are to run here.
    waiting: usize,
    workers: usize,
    /// How many of the workers are about to look for an open post. There are never fewer of them
    /// than open posts, so each post is taken up.
    looking: usize,
    /// The keys of the open posts, in the order in which they are to be taken up.
    open: VecDeque<usize>,
    /// How many sources are asked here, or will be when their readers have caught up.
    sources: usize,
    /// The keys of the tethers of those who sleep until a post is opened: while there are sources,
    /// nobody leaves. Who has been dropped meanwhile, or woken, may still be named.
    sleeping: Vec<usize>,
}

/// Somebody to look for an open post, to be called under no lock.
#[must_use = "its crew counts on it"]
pub(crate) enum Summons {
    Sleeper(Arc<Tether>),
    Recruit(Recruit),
}

/// What a worker does that finds no open post.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Respite {
    /// It looks once more when other tasks have had their turn.
    Linger,
    Sleep,
}

/// What a worker takes up.
pub(crate) struct Taken {
    /// The key of the post.
    pub(crate) key: usize,
    pub(crate) slot: Slot,
    pub(crate) work: Work,
}

impl Shared {
    /// Opens a post for a waiter that has been admitted. A worker that is given back is to be
    /// started, under no lock.
    pub(crate) fn open_post(
        self: &Arc<Self>,
        state: &mut State,
        admitted: Admitted<Waiter>,
    ) -> Option<Summons> {
        let crew = admitted.waiter.crew();
        let Taken { key, slot, work } = state.new_post(admitted);
        self.offer(state, key, slot, work, crew)
    }

    /// Opens a post to all workers of a crew, and employs one more if too few are looking.
    pub(crate) fn offer(
        self: &Arc<Self>,
        state: &mut State,
        key: usize,
        slot: Slot,
        work: Work,
        crew: usize,
    ) -> Option<Summons> {
        state.posts[key].open = Some((slot, work));
        let Crew { looking, open, .. } = &mut state.crews[crew];
        open.push_back(key);
        if open.len() <= *looking {
            return None;
        }
        if let Some(sleeper) = state.summon(crew) {
            return Some(Summons::Sleeper(sleeper));
        }
        let Crew {
            home,
            workers,
            looking,
            ..
        } = &mut state.crews[crew];
        *workers += 1;
        *looking += 1;
        // A handle of Tokio is a count: what is cloned here runs nothing, unlike its last drop.
        let recruit = Recruit::new(self.clone(), crew, home.clone());
        Some(Summons::Recruit(recruit))
    }
}

impl Summons {
    pub(crate) fn call(self) {
        match self {
            Self::Sleeper(tether) => tether.waker.wake_by_ref(),
            Self::Recruit(recruit) => recruit.start(),
        }
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
    fn summon(&mut self, crew: usize) -> Option<Arc<Tether>> {
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

impl Crew {
    fn is_idle(&self) -> bool {
        self.workers == 0 && self.waiting == 0 && self.sources == 0
    }
}

impl Taken {
    /// What was admitted, with the post at `key`, which a job is to know as its own.
    fn new(key: usize, admitted: Admitted<Waiter>) -> Self {
        if let Waiter::Job(job) = &admitted.waiter {
            job.posted_at(key);
        }
        Self {
            key,
            slot: admitted.slot,
            work: admitted.waiter.into(),
        }
    }
}

impl Post {
    fn new(admitted: &Admitted<Waiter>) -> Self {
        Self {
            ticket: admitted.ticket,
            source: admitted.waiter.source(),
            open: None,
            worker: None,
            stop: false,
            watchers: Vec::new(),
        }
    }

    /// Whether it is held for the job that had `ticket` in the line.
    pub(crate) fn has_job(&self, ticket: Ticket) -> bool {
        self.ticket == ticket
    }

    /// Whether it is held for an item of this source.
    pub(crate) fn is_of_source(&self, source: SourceId) -> bool {
        self.source == Some(source)
    }

    /// `watcher` is to be told of the end of the job.
    pub(crate) fn watch(&mut self, watcher: Arc<Group>) {
        self.watchers.push(watcher);
    }

    /// Those who wait for the end of the job.
    pub(crate) fn take_watchers(&mut self) -> Vec<Arc<Group>> {
        mem::take(&mut self.watchers)
    }
}

impl Waiter {
    /// The id of the source, if it is one.
    fn source(&self) -> Option<SourceId> {
        match self {
            Self::Job(_) => None,
            Self::Source(source) => Some(source.id()),
        }
    }
}

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::future::pending;

    use tokio::runtime::Builder;

    use crate::pool::Pool;

    #[test]
    fn a_crew_is_kept_only_while_somebody_waits_for_it_or_works_in_it() {
        let runtime = || Builder::new_current_thread().build().expect("no drivers");
        let (here, there, pool) = (runtime(), runtime(), Pool::new(1));
        let hand_in = |home: &tokio::runtime::Runtime| {
            let _entered = home.enter();
            pool.spawn_n(pending::<()>())
        };
        let crews = || pool.shared.lock().crews.len();
        let active = hand_in(&here);
        let waiting = hand_in(&there);
        assert_eq!(crews(), 2);
        assert!(waiting.cancel());
        assert_eq!(crews(), 1, "nobody waits for the other any more");
        drop(here);
        assert!(active.is_finished());
        assert_eq!(crews(), 0, "its last worker is gone");
    }
}
