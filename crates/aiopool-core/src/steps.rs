//! Counts elementary steps in the tests of this crate: what is said to take O(1) is shown to.

/// To be called in each round of each loop.
#[inline]
pub(crate) fn step() {
    #[cfg(test)]
    tests::COUNT.with(|count| count.set(count.get() + 1));
}

#[cfg(test)]
mod tests {
    extern crate std;

    use alloc::collections::VecDeque;
    use alloc::vec::Vec;
    use core::cell::Cell;
    use core::num::{NonZeroU32, NonZeroUsize};

    use crate::{Admission, Level, Request, Time, Waiter};

    std::thread_local! {
        pub(super) static COUNT: Cell<u64> = const { Cell::new(0) };
    }

    struct Job(NonZeroU32);

    impl Waiter for Job {
        fn weight(&self) -> NonZeroU32 {
            self.0
        }
    }

    /// How many steps a job takes, if so many wait, of three levels, with a key for each ten and of
    /// several weights.
    fn steps_a_job(jobs: u32) -> u64 {
        let size = NonZeroUsize::new(50).expect("it is not 0");
        let mut pool = Admission::<Job, ()>::new(size);
        let keys: Vec<_> = (0..jobs / 10)
            .map(|_| pool.open_key(NonZeroU32::new(1), &[]))
            .collect();
        COUNT.set(0);
        let mut tickets = Vec::new();
        for n in 0..jobs {
            let request = Request {
                level: Level::new([0, 1, -1][n as usize % 3]).expect("it is one"),
                key: keys.get(n as usize % keys.len()).copied(),
                front: n % 7 == 0,
            };
            let weight = NonZeroU32::new([1, 1, 1, 3][n as usize % 4]).expect("it is not 0");
            let ticket = pool.submit(Job(weight), request);
            tickets.extend(ticket.ok().filter(|_| n % 5 == 0));
        }
        for ticket in tickets {
            assert!(pool.withdraw(ticket).is_some());
        }
        let (mut active, mut ended) = (VecDeque::new(), jobs.div_ceil(5));
        while ended < jobs {
            while pool.poll_due(Time::ZERO) {}
            while let Some(admitted) = pool.poll_admit(Time::ZERO) {
                active.push_back(admitted.slot);
            }
            pool.finish(active.pop_front().expect("somebody is active"));
            ended += 1;
        }
        COUNT.get() / u64::from(jobs)
    }

    /// How many steps a job of a new key takes beside so many keys that are paused.
    fn steps_beside(keys: u32) -> u64 {
        let size = NonZeroUsize::new(50).expect("it is not 0");
        let mut pool = Admission::<Job, ()>::new(size);
        let mut run = |paused: bool| {
            let key = pool.open_key(None, &[]);
            if paused {
                pool.pause_key(key, Time::NEVER);
            }
            let request = Request {
                key: Some(key),
                ..Request::default()
            };
            assert!(pool.submit(Job(NonZeroU32::MIN), request).is_ok());
            while pool.poll_due(Time::ZERO) {}
            if let Some(admitted) = pool.poll_admit(Time::ZERO) {
                pool.finish(admitted.slot);
            }
            while pool.poll_due(Time::ZERO) {}
        };
        (0..keys).for_each(|_| run(true));
        run(false);
        COUNT.set(0);
        (0..1_000).for_each(|_| run(false));
        COUNT.get() / 1_000
    }

    #[test]
    fn keys_that_were_used_once_leave_no_lanes_behind() {
        let mut pool = Admission::<Job, ()>::new(NonZeroUsize::MIN);
        for _ in 0..10_000 {
            let key = pool.open_key(None, &[]);
            let request = Request {
                key: Some(key),
                ..Request::default()
            };
            assert!(pool.submit(Job(NonZeroU32::MIN), request).is_ok());
            while pool.poll_due(Time::ZERO) {}
            let admitted = pool.poll_admit(Time::ZERO).expect("it fits");
            pool.finish(admitted.slot);
        }
        COUNT.set(0);
        let _walk = pool.begin_walk();
        assert!(pool.walk_on().is_none());
        assert!(COUNT.get() <= 12, "{} steps", COUNT.get());
    }

    #[test]
    fn a_job_takes_as_many_steps_beside_many_keys() {
        let steps = [100, 1_000, 100_000].map(steps_beside);
        std::println!("steps a job beside 10^2, 10^3 and 10^5 keys: {steps:?}");
        assert!(steps.iter().all(|steps| *steps <= 12), "{steps:?}");
    }

    #[test]
    fn a_job_takes_as_many_steps_however_many_wait() {
        // A debug build looks after each step whether all is well, which takes its time.
        let most = if cfg!(debug_assertions) {
            100_000
        } else {
            1_000_000
        };
        let steps = [1_000, most / 10, most].map(steps_a_job);
        std::println!("steps a job at 10^3, {} and {most}: {steps:?}", most / 10);
        assert!(steps.iter().all(|steps| *steps <= 10), "{steps:?}");
    }
}
