//! Jobs whose futures are large: where they are held, and how much of the stack they take.

use std::env;
use std::future::pending;
use std::hint::black_box;
use std::process::Command;
use std::thread;

use aiopool::{Job, Pool};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use tokio::runtime::{Builder, Runtime};
use tokio::task::yield_now;

use crate::common::{Count, assert_whole, current_thread, in_time_on, on_both, raise, until};

/// What is run in a process of its own, and its name.
type Case = (&'static str, fn() -> BoxFuture<'static, ()>);
type Flavour = (&'static str, fn() -> Runtime);

/// A job that holds so many bytes.
async fn large<const BYTES: usize>() {
    let mut held = [1_u8; BYTES];
    yield_now().await;
    held[BYTES / 2] = 7;
    yield_now().await;
    black_box(&held);
}

/// A job whose callback has captured so many bytes.
fn with_large_callback<const BYTES: usize>() -> impl Job<Output = ()> {
    let held = [1_u8; BYTES];
    async {}.with_callback(move |_| async move {
        black_box(&held);
    })
}

#[test]
fn a_caller_of_spawn_or_exec_holds_a_few_words_however_large_its_job() {
    let pool = Pool::new(1);
    let job = || large::<{ 16 * KIB }>();
    let with_callback = || job().with_callback(|_| large::<{ 16 * KIB }>());
    assert!(size_of_val(&job()) > 16 * KIB);
    let sizes = [
        size_of_val(&pool.spawn(job())),
        size_of_val(&pool.spawn(with_callback())),
        size_of_val(&pool.exec(job())),
        size_of_val(&pool.exec(with_callback())),
    ];
    assert!(sizes.iter().all(|size| *size <= 8 * WORD), "{sizes:?}");
}

#[test]
fn every_verb_takes_a_job_as_large_as_tokio_does() {
    // The stack has room for two of them: the caller has one, and one goes to its place.
    const JOB: usize = STACK / 8 * 3;
    in_processes_of_their_own(
        "large::every_verb_takes_a_job_as_large_as_tokio_does",
        &[
            ("tokio", || {
                Box::pin(async { tokio::spawn(large::<JOB>()).await.unwrap() })
            }),
            ("spawn", || {
                Box::pin(async { Pool::new(1).spawn(large::<JOB>()).await.await.unwrap() })
            }),
            ("spawn_n", || {
                Box::pin(async { Pool::new(1).spawn_n(large::<JOB>()).await.unwrap() })
            }),
            ("exec", || {
                Box::pin(async { Pool::new(1).exec(large::<JOB>()).await.unwrap() })
            }),
            ("map", || {
                Box::pin(async {
                    let results = Pool::new(1).map(0..3, |_| large::<JOB>()).await;
                    results.into_iter().for_each(Result::unwrap);
                })
            }),
            ("map_n", || {
                Box::pin(async {
                    for handle in Pool::new(1).map_n(0..3, |_| large::<JOB>()) {
                        handle.await.unwrap();
                    }
                })
            }),
            ("itermap", || {
                Box::pin(async {
                    let results = Pool::new(1).itermap(0..3, |_| large::<JOB>());
                    results.map(Result::unwrap).collect::<()>().await;
                })
            }),
            ("itermap_ordered", || {
                Box::pin(async {
                    let results = Pool::new(1).itermap_ordered(0..3, |_| large::<JOB>());
                    results.map(Result::unwrap).collect::<()>().await;
                })
            }),
        ],
    );
}

#[test]
fn every_verb_takes_a_large_job_with_a_large_callback() {
    // The stack has room for four of them: the caller has three, one of them without its callback.
    const JOB: usize = STACK / 16 * 3;
    in_processes_of_their_own(
        "large::every_verb_takes_a_large_job_with_a_large_callback",
        &[
            ("tokio", || {
                Box::pin(async {
                    tokio::spawn(large::<JOB>()).await.unwrap();
                })
            }),
            ("spawn", || {
                Box::pin(async {
                    let job = large::<JOB>().with_callback(|_| large::<JOB>());
                    Pool::new(1).spawn(job).await.await.unwrap();
                })
            }),
            ("spawn_n", || {
                Box::pin(async {
                    let job = large::<JOB>().with_callback(|_| large::<JOB>());
                    Pool::new(1).spawn_n(job).await.unwrap();
                })
            }),
            ("exec", || {
                Box::pin(async {
                    let job = large::<JOB>().with_callback(|_| large::<JOB>());
                    Pool::new(1).exec(job).await.unwrap();
                })
            }),
            ("map", || {
                Box::pin(async {
                    let job = |_| large::<JOB>().with_callback(|_| large::<JOB>());
                    let results = Pool::new(1).map(0..3, job).await;
                    results.into_iter().for_each(Result::unwrap);
                })
            }),
            ("map_n", || {
                Box::pin(async {
                    let job = |_| large::<JOB>().with_callback(|_| large::<JOB>());
                    for handle in Pool::new(1).map_n(0..3, job) {
                        handle.await.unwrap();
                    }
                })
            }),
            ("itermap", || {
                Box::pin(async {
                    let job = |_| large::<JOB>().with_callback(|_| large::<JOB>());
                    let results = Pool::new(1).itermap(0..3, job);
                    results.map(Result::unwrap).collect::<()>().await;
                })
            }),
            ("itermap_ordered", || {
                Box::pin(async {
                    let job = |_| large::<JOB>().with_callback(|_| large::<JOB>());
                    let results = Pool::new(1).itermap_ordered(0..3, job);
                    results.map(Result::unwrap).collect::<()>().await;
                })
            }),
            ("what the callback has captured", || {
                Box::pin(async {
                    let job = with_large_callback::<JOB>();
                    Pool::new(1).exec(job).await.unwrap();
                })
            }),
        ],
    );
}

#[test]
fn a_large_job_with_a_callback_ends_as_a_small_one_does() {
    async fn ends<const BYTES: usize>() {
        let (pool, begun, dropped, called) =
            (Pool::new(1), Count::new(), Count::new(), Count::new());
        let job = |end: Option<&'static str>| {
            let (begun, held) = (begun.clone(), dropped.drops());
            let (called, captured) = (called.clone(), dropped.drops());
            let job = async move {
                let _held = held;
                begun.add();
                large::<BYTES>().await;
                match end {
                    Some(message) => raise(message),
                    None => pending::<()>().await,
                }
            };
            job.with_callback(move |result| async move {
                called.add();
                large::<BYTES>().await;
                drop(captured);
                result.unwrap_err().to_string()
            })
        };
        let said = pool.exec(job(Some("no"))).await.unwrap();
        assert_eq!(said, "the job panicked: no");
        let mut active = pool.spawn_n(job(None));
        until(|| begun.get() == 2).await;
        let waiting = pool.spawn_n(job(None));
        assert!(waiting.cancel());
        assert!(waiting.await.unwrap_err().is_cancelled());
        assert_eq!((called.get(), dropped.get()), (1, 4));
        let (stopped, mut results) = pool.cancel([&mut active]).await;
        let said = results.pop().unwrap().unwrap();
        assert_eq!((stopped, said.as_str()), (1, "the job was cancelled"));
        drop(pool.spawn(job(None)));
        assert_eq!((begun.get(), called.get(), dropped.get()), (2, 2, 8));
        assert_whole(&pool).await;
    }
    on_both(async || {
        ends::<1>().await;
        ends::<{ 32 * KIB }>().await;
    });
}

// What a process has held at most can be read there.
#[cfg(target_os = "linux")]
#[test]
fn map_n_holds_each_job_once() {
    /// In bytes.
    fn most_held() -> usize {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<usize>().unwrap() * KIB
    }

    const JOBS: usize = 2_000;
    const JOB: usize = 8 * KIB;
    in_processes_of_their_own(
        "large::map_n_holds_each_job_once",
        &[("map_n", || {
            Box::pin(async {
                let before = most_held();
                let handles = Pool::new(1).map_n(0..JOBS, |_| {
                    let held = [1_u8; JOB];
                    async move {
                        yield_now().await;
                        black_box(&held);
                    }
                });
                let held = most_held() - before;
                assert!(held < JOBS * JOB * 3 / 2, "{held} bytes for {JOBS} jobs");
                assert!(held > JOBS * JOB * 3 / 4, "{held} bytes for {JOBS} jobs");
                drop(handles);
            })
        })],
    );
}

/// Runs each of these on a small stack, in a process of its own: an overflow ends the process. The
/// process runs `test`, the caller, alone.
fn in_processes_of_their_own(test: &str, cases: &[Case]) {
    if let Ok(wanted) = env::var(CASE) {
        for &(name, case) in cases {
            for (flavour, runtime) in FLAVOURS {
                if wanted == format!("{name}, {flavour}") {
                    let thread = thread::Builder::new().stack_size(STACK);
                    in_time_on(thread, move || run(&runtime(), case()));
                    println!("{wanted}: {ENDED}");
                }
            }
        }
        return;
    }
    for (name, _) in cases {
        for (flavour, _) in FLAVOURS {
            let case = format!("{name}, {flavour}");
            let output = Command::new(env::current_exe().unwrap())
                .args(["--exact", test, "--nocapture"])
                .env(CASE, &case)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            let ended = output.status.success() && said.contains(&format!("{case}: {ENDED}"));
            assert!(ended, "{case}: {output:?}");
        }
    }
}

fn run(runtime: &Runtime, case: BoxFuture<'static, ()>) {
    runtime.block_on(async { tokio::spawn(case).await.unwrap() });
}

fn multi_thread() -> Runtime {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(1).thread_stack_size(STACK);
    runtime.build().unwrap()
}

const FLAVOURS: [Flavour; 2] = [
    ("current_thread", current_thread),
    ("multi_thread", multi_thread),
];
const STACK: usize = 1024 * KIB;
const KIB: usize = 1024;
const WORD: usize = size_of::<usize>();
/// Tells a process which case it is to run.
const CASE: &str = "AIOPOOL_LARGE_CASE";
const ENDED: &str = "it has ended";
