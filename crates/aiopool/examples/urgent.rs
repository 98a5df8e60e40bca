//! `priority`: the job of a user who waits starts next, however many reports are in the queue. A
//! flood of such jobs leaves every 17th start to the reports, so these are late, and do not starve.
//!
//! `cargo run --example urgent`

#![expect(clippy::unwrap_used, reason = "what is not expected ends the program")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::{Job, JobError, Pool};
use tokio::time::sleep;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), JobError> {
    let (one, flood) = run().await?;
    println!("one urgent job:  {one}");
    println!("a flood of them: {flood}");
    Ok(())
}

/// Which jobs have started, a letter each, in the two parts of this program.
pub(crate) async fn run() -> Result<(String, String), JobError> {
    let starts = Starts::default();
    let pool = Pool::new(2);

    drop(pool.map_n([(); 20], |()| starts.job('r')));
    pool.exec(starts.job('U').priority(10)).await?;
    let one = starts.take();

    drop(pool.map_n([(); 64], |()| starts.job('U').priority(10)));
    pool.join().await;
    Ok((one, starts.take()))
}

#[derive(Clone, Default)]
struct Starts(Arc<Mutex<String>>);

impl Starts {
    fn job(&self, letter: char) -> impl Future<Output = ()> + Send + 'static {
        let Self(letters) = self.clone();
        async move {
            letters.lock().unwrap().push(letter);
            sleep(Duration::from_millis(2)).await;
        }
    }

    fn take(&self) -> String {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}
