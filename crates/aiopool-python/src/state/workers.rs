//! The idle workers, and the number of jobs that workers were given and have not begun.

use std::collections::VecDeque;

pub(super) struct Workers<W> {
    /// The worker that has been idle longest comes first. Their tasks are in the loop.
    idle: VecDeque<W>,
    /// The number of jobs that workers were given and have not begun.
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

    /// Counts a job that a worker will get.
    pub(super) fn count_given(&mut self) {
        self.given_jobs += 1;
    }

    /// Takes that back: no worker gets the job, or the worker loses it.
    pub(super) fn take_back(&mut self) {
        self.given_jobs -= 1;
    }

    /// Whether a worker may begin its job in this step. `has_ended` says whether its last job ended
    /// in this step, and `has_begun` whether it began another job in it. Jobs begin in the order of
    /// the queue, so after the jobs that other workers were given before.
    pub(super) fn begin(&mut self, has_ended: bool, has_begun: bool) -> bool {
        // A worker begins one job a step, as if each job had a task: other tasks must get their
        // turn of the loop beside jobs that never suspend. If no job has ended in this step, the
        // loop calls the workers in the order in which they were given their jobs. If one has
        // ended, the next job would overtake the jobs of all workers that the loop has not called
        // yet.
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
