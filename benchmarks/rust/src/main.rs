//! Lists the cases of the benchmark and runs one of them; what repeats and compares is elsewhere.

use aiopool_bench::case::{Case, Flavor};
use aiopool_bench::cases::cases;
use aiopool_bench::load::{Load, Workload};
use clap::{Parser, Subcommand};

/// Measures what a job costs in a pool.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print the cases that make sense, each as a line of JSON.
    List,
    /// Run one case once, and print what it cost as a line of JSON.
    Run {
        /// A subject of the list.
        subject: String,
        workload: Workload,
        flavor: Flavor,
        /// How many jobs.
        #[arg(long)]
        jobs: usize,
        /// How many of them may be active at a time.
        #[arg(long)]
        slots: usize,
    },
}

fn main() -> anyhow::Result<()> {
    match Options::parse().command {
        Command::List => cases().iter().for_each(|case| println!("{}", case.json())),
        Command::Run {
            subject,
            workload,
            flavor,
            jobs,
            slots,
        } => {
            let case = Case::new(&subject, Load::new(workload, jobs, slots)?, flavor)?;
            println!("{}", case.run()?.json());
        }
    }
    Ok(())
}
