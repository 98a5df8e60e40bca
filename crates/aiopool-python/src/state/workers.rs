//! The workers without a job, and the jobs that their workers have not begun.

use std::collections::VecDeque;

pub(super) struct Workers<W> {
    /// First the worker that has been idle longest. Their tasks are in the loop.
    idle: VecDeque<W>,
    /// How many jobs have been given to workers that have not begun them.
    given_jobs: usize,
}

impl<W> Workers<W> {
    pub(super) fn new() -> Self {
        Self {
            idle: VecDeque::new(),
            given_jobs: 0,
        }
    }

    pub(super) fn idle(&self) -> impl Iterator<Item = &W> {
        self.idle.iter()
    }

    /// A job is to be given to a worker.
    pub(super) fn count_given(&mut self) {
        self.given_jobs += 1;
    }

    /// It is not, or is taken away from the worker.
    pub(super) fn take_back(&mut self) {
        self.given_jobs -= 1;
    }

    /// A worker wants to begin a job, perhaps in a step in which its last one has ended or in which it
    /// `has_begun` another. The jobs begin in the order of the queue: after those that others have been
    /// given.
    pub(super) fn begin(&mut self, has_ended: bool, has_begun: bool) -> bool {
        // One job a step, as if each had a task: others are to get their turn of the loop beside jobs that never
        // suspend. Where none has ended, the loop has called the workers in the order in which they were given
        // their jobs. Where one has, this one would overtake the jobs of all others that have yet to be called.
        let may_begin = !has_begun && (!has_ended || self.given_jobs == 1);
        self.given_jobs -= usize::from(may_begin);
        may_begin
    }

    pub(super) fn become_idle(&mut self, worker: W) {
        self.idle.push_back(worker);
    }

    pub(super) fn take_longest_idle(&mut self) -> Option<W> {
        self.idle.pop_front()
    }

    pub(super) fn take_idle(&mut self, is_it: impl Fn(&W) -> bool) -> Option<W> {
        // The worker that has been idle longest leaves first, so the search is short.
        let index = self.idle.iter().position(is_it)?;
        self.idle.remove(index)
    }

    pub(super) fn clear(&mut self) -> VecDeque<W> {
        std::mem::take(&mut self.idle)
    }
}
