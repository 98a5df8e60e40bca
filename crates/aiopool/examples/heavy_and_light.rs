//! `weight`: a film takes all of the memory, a picture a fourth. Nobody passes the film while it
//! waits for its slots, so the pictures behind it do not keep it waiting for ever.
//!
//! `cargo run --example heavy_and_light`

#![expect(clippy::unwrap_used, reason = "what is not expected ends the program")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use aiopool::{Job, JobError, Pool};
use tokio::time::sleep;

const GIGABYTES: u32 = 4;

#[tokio::main]
async fn main() -> Result<(), JobError> {
    let (names, most) = run().await?;
    println!("{} files converted, with {most} GB at most", names.len());
    Ok(())
}

/// In which order the files were begun, and how much memory was in use at most.
pub(crate) async fn run() -> Result<(Vec<String>, u32), JobError> {
    let mut files: Vec<_> = (0..12).map(|n| (format!("picture {n}"), 1)).collect();
    files.insert(6, ("film".to_owned(), GIGABYTES));

    let machine = Arc::new(Mutex::new(Machine::default()));
    let pool = Pool::new(GIGABYTES as usize);
    let convert = {
        let machine = Arc::clone(&machine);
        move |(name, gigabytes)| convert(Arc::clone(&machine), name, gigabytes).weight(gigabytes)
    };
    for converted in pool.map(files, convert).await {
        converted?;
    }
    let machine = machine.lock().unwrap();
    Ok((machine.begun.clone(), machine.most))
}

async fn convert(machine: Arc<Mutex<Machine>>, name: String, gigabytes: u32) {
    machine.lock().unwrap().begin(name, gigabytes);
    sleep(Duration::from_millis(100)).await;
    machine.lock().unwrap().used -= gigabytes;
}

#[derive(Default)]
struct Machine {
    used: u32,
    most: u32,
    begun: Vec<String>,
}

impl Machine {
    fn begin(&mut self, name: String, gigabytes: u32) {
        self.used += gigabytes;
        self.most = self.most.max(self.used);
        println!(
            "{name:10} starts, {} of {GIGABYTES} GB are in use",
            self.used
        );
        self.begun.push(name);
    }
}
