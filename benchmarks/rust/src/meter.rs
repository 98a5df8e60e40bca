//! Wall time, CPU time and peak memory of a part of this process's life.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::Context;
use procfs::process::Process;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};

/// A measurement that has begun.
#[derive(Debug)]
pub(crate) struct Meter {
    resident: u64,
    cpu: Duration,
    wall: Instant,
}

/// What the measured part has cost.
#[derive(Debug)]
pub struct Cost {
    jobs: usize,
    wall: Duration,
    cpu: Duration,
    peak: u64,
    extras: Map<String, Value>,
}

impl Meter {
    pub(crate) fn start() -> anyhow::Result<Self> {
        // The kernel then counts the peak from what is resident now.
        fs::write("/proc/self/clear_refs", "5").context("the peak of memory cannot be reset")?;
        Ok(Self {
            resident: memory()?.0,
            cpu: cpu_time(),
            wall: Instant::now(),
        })
    }

    pub(crate) fn wall(&self) -> Duration {
        self.wall.elapsed()
    }

    pub(crate) fn stop(&self, jobs: usize) -> anyhow::Result<Cost> {
        let (wall, cpu) = (self.wall(), cpu_time());
        Ok(Cost {
            jobs,
            wall,
            cpu: cpu.saturating_sub(self.cpu),
            peak: memory()?.1.saturating_sub(self.resident),
            extras: Map::new(),
        })
    }
}

impl Cost {
    /// Sets the wall time, where only CPU time and memory were measured to the end.
    pub(crate) fn within(self, wall: Duration) -> Self {
        Self { wall, ..self }
    }

    pub(crate) fn cpu(&self) -> Duration {
        self.cpu
    }

    /// Adds a number that only some workloads have.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extras.insert(name.to_owned(), value.into());
        self
    }

    /// The line that the runner reads: seconds and bytes.
    #[must_use]
    pub fn json(&self) -> Value {
        let mut line = json!({
            "jobs": self.jobs,
            "wall": self.wall.as_secs_f64(),
            "cpu": self.cpu.as_secs_f64(),
            "peak": self.peak,
        });
        if let Value::Object(line) = &mut line {
            line.extend(self.extras.clone());
        }
        line
    }
}

/// Waits until the runtime has nothing left to do: what waits then really waits. Wall time knows no
/// such moment, for nobody tells when the last task has suspended.
pub(crate) async fn quiet() {
    loop {
        let before = cpu_time();
        tokio::time::sleep(GLANCE).await;
        if cpu_time().saturating_sub(before) < GLANCE / 10 {
            return;
        }
    }
}

/// What all threads of this process have used, in the kernel too.
fn cpu_time() -> Duration {
    clock(ClockId::ProcessCPUTime)
}

pub(crate) fn clock(id: ClockId) -> Duration {
    let time = clock_gettime(id);
    let (Ok(seconds), Ok(nanos)) = (time.tv_sec.try_into(), time.tv_nsec.try_into()) else {
        unreachable!("a CPU clock starts at 0");
    };
    Duration::new(seconds, nanos)
}

/// The resident memory and its peak, in bytes.
fn memory() -> anyhow::Result<(u64, u64)> {
    let status = Process::myself()?.status()?;
    let told = status.vmrss.zip(status.vmhwm);
    let (resident, peak) = told.context("the kernel does not tell what is resident")?;
    Ok((resident * 1024, peak * 1024))
}

/// Long enough that a timer does not count as work.
const GLANCE: Duration = Duration::from_millis(20);
