//! `tokio-task-pool`: whoever spawns waits for a permit.

use tokio::task::yield_now;
use tokio_task_pool::Pool;

use super::tally::Tally;
use crate::subject::Subject;
use crate::workloads::Work;

/// The handles are dropped: to keep and await them was not faster.
pub(crate) struct TaskPool;

impl Subject for TaskPool {
    async fn run<W: Work>(work: W, jobs: usize, slots: usize) -> usize {
        let pool = Pool::bounded(slots);
        let tally = Tally::default();
        for n in 0..jobs {
            // A job that is refused is missed in the sum.
            let _ = pool.spawn(tally.counted(work.job(n))).await;
        }
        // Nothing else tells the end.
        while pool.busy_permits() != Some(0) {
            yield_now().await;
        }
        tally.sum()
    }
}
