//! One case: a subject, what it is given, and on which runtime.

use anyhow::Context;
use clap::ValueEnum;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};

use crate::load::Load;
use crate::meter::Cost;
use crate::subjects::{Entry, SUBJECTS};

/// What is run, once.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    pub(crate) subject: &'static Entry,
    pub(crate) load: Load,
    pub(crate) flavor: Flavor,
}

/// The kind of runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Flavor {
    /// The thread of `block_on`.
    CurrentThread,
    /// 2 threads.
    MultiThread,
}

impl Case {
    /// The case of the subject of that name.
    pub fn new(subject: &str, load: Load, flavor: Flavor) -> anyhow::Result<Self> {
        let subject = SUBJECTS.iter().find(|entry| entry.name == subject);
        Ok(Self {
            subject: subject.context("no such subject: `list` prints those that there are")?,
            load,
            flavor,
        })
    }

    /// The same with fewer jobs and slots, to see that it runs at all.
    #[must_use]
    pub fn in_small(self) -> Self {
        let load = Load {
            jobs: self.load.jobs.min(50),
            slots: self.load.slots.min(4),
            ..self.load
        };
        Self { load, ..self }
    }

    /// Runs it, on a runtime of its own.
    pub fn run(self) -> anyhow::Result<Cost> {
        // In a task, whichever the subject: the thread of `block_on` is not among the workers of a
        // multi-thread runtime, so whoever polled all jobs there would have a third thread, and
        // each wake and spawn from there would go through the queue that all workers share.
        let run = async move { tokio::spawn((self.subject.run)(self.load)).await? };
        self.flavor.runtime()?.block_on(run)
    }

    /// The line that the runner reads.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({
            "subject": self.subject.name,
            "workload": name(&self.load.workload),
            "flavor": name(&self.flavor),
            "jobs": self.load.jobs,
            "slots": self.load.slots,
        })
    }
}

impl Flavor {
    fn runtime(self) -> std::io::Result<Runtime> {
        let mut builder = match self {
            Self::CurrentThread => Builder::new_current_thread(),
            Self::MultiThread => Builder::new_multi_thread(),
        };
        // A current-thread runtime does not heed the number.
        builder.worker_threads(2).enable_time().build()
    }
}

fn name(value: &impl ValueEnum) -> String {
    let value = value.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
