//! The cases that make sense.

use crate::case::{Case, Flavor};
use crate::load::{Load, Workload};
use crate::subjects::{Entry, Kind, SUBJECTS};

/// All of them, subject by subject.
#[must_use]
pub fn cases() -> Vec<Case> {
    let flavors = [Flavor::CurrentThread, Flavor::MultiThread];
    let of_subject = |subject| {
        flavors
            .into_iter()
            .flat_map(move |flavor| of(subject, flavor))
    };
    SUBJECTS.iter().flat_map(of_subject).collect()
}

fn of(subject: &'static Entry, flavor: Flavor) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |workload, jobs, slots| {
        let load = Load {
            workload,
            jobs,
            slots,
        };
        cases.push(Case {
            subject,
            load,
            flavor,
        });
    };
    match subject.kind {
        Kind::Rated => {
            if !NOT_STRICT.contains(&subject.name) {
                add(Workload::Strictness, 400, SLOTS);
            }
            add(Workload::Rate, MILLION / 50, SLOTS);
            return cases;
        }
        Kind::Keyed => {
            // With the more slots, jobs wait for their keys only.
            for slots in [SLOTS, 12_000] {
                add(Workload::Keys, MILLION / 10, slots);
            }
            for workload in [Workload::WaitingKeyed, Workload::WaitingKeyless] {
                add(workload, MILLION, 10);
            }
            return cases;
        }
        Kind::Leveled => {
            for levels in [2, 3, 32, 201] {
                add(Workload::Levels, levels, 1);
            }
            return cases;
        }
        Kind::Blocks | Kind::Pulls | Kind::Queues => {}
    }
    add(Workload::Ready, MILLION, SLOTS);
    for slots in [1, 10, 100, 1_000, 10_000, 100_000] {
        if makes_sense(subject, slots) {
            add(Workload::YieldOnce, MILLION, slots);
        }
    }
    add(Workload::Woken, MILLION, SLOTS);
    if flavor == Flavor::MultiThread {
        add(Workload::YieldCompute, MILLION / 5, SLOTS);
    }
    if LATENCY.contains(&subject.name) {
        for slots in [10, 100, 1_000] {
            add(Workload::Latency, MILLION / 10, slots);
        }
    }
    match subject.kind {
        Kind::Blocks | Kind::Rated | Kind::Keyed | Kind::Leveled => {}
        Kind::Pulls => add(Workload::Items, 10 * MILLION, SLOTS),
        Kind::Queues => {
            add(Workload::Waiting, MILLION, SLOTS);
            add(Workload::Waiting, 10 * MILLION, SLOTS);
            add(Workload::Cancel, MILLION, SLOTS);
        }
    }
    cases
}

fn makes_sense(subject: &Entry, slots: usize) -> bool {
    match subject.name {
        // It has no limit.
        "tokio.spawn" => slots == SLOTS,
        // Its cost per job grows with the slots: this one would take a minute.
        "buffer_unordered.tasks" => slots < 100_000,
        _ => true,
    }
}

/// Buckets that are known for one, and those that run one job after another.
const NOT_STRICT: [&str; 3] = [
    "aiopool.limits.bucket",
    "governor.alone",
    "leaky-bucket.alone",
];
/// The verbs that start jobs in each way, and the tasks that a user would have started instead.
const LATENCY: [&str; 6] = [
    "aiopool.spawn",
    "aiopool.spawn_n",
    "aiopool.map",
    "aiopool.itermap",
    "join_set.permit_before",
    "join_set.permit_inside",
];
const MILLION: usize = 1_000_000;
/// As many as a server may well have; the cost by their number is measured with jobs that yield.
const SLOTS: usize = 1_000;
