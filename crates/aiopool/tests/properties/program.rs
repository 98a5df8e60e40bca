//! What is done to a pool, and what its jobs do: made up at random.

use std::fmt;
use std::sync::Arc;

/// One example: what happens, step by step, and how it all ends.
#[derive(Clone)]
pub(crate) struct Program {
    pub(crate) size: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) ending: Ending,
}

#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) act: Act,
    pub(crate) then: Then,
}

/// How far the runtime gets before the next step.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Then {
    /// Until no task can go on. All that the pool should have done by then is compared.
    Settle,
    /// One turn.
    Yield,
    /// Not at all.
    Hurry,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending {
    /// All gates are opened, all results read.
    Drained,
    /// Whatever is held is dropped, then all gates are opened.
    Abandoned,
    /// The runtime is shut down.
    ShutDown,
}

/// Something that a user does. Numbers choose among what is there, modulo its count.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// What a step shrinks to.
    Nothing,
    SpawnN(Plan),
    MapN(Items),
    Spawn(Plan),
    Exec(Plan),
    Map(Items),
    Stream {
        items: Items,
        ordered: bool,
        ahead: Option<usize>,
    },
    Join,
    Cancel {
        which: u8,
    },
    CancelAll,
    CancelHandle(usize),
    /// In a job that somebody holds a handle of; nothing elsewhere.
    CancelMyself,
    AwaitHandle(usize),
    DropHandle(usize),
    ReadStream(usize),
    DropStream(usize),
    /// Gives up a `spawn`, `exec`, `map`, `join`, `cancel` or `cancel_all` that is awaited.
    DropCaller(usize),
    /// Makes a future and drops it without a poll.
    DropUnpolled(Verb, Items),
    /// The job that waits at a gate goes on.
    OpenGate(usize),
    /// A job at a gate is polled for nothing.
    WakeForNothing(usize),
    /// A caller polls what it waits for, which has not woken it.
    PollForNothing(usize),
    /// Drops the last handle of the pool that the user has.
    DropPool,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Verb {
    Spawn,
    Exec,
    Map,
    Stream,
    Join,
    CancelAll,
}

/// A job: a future, and perhaps a callback.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) future: Script,
    pub(crate) callback: Option<Callback>,
}

#[derive(Debug, Clone)]
pub(crate) struct Callback {
    pub(crate) future: Script,
    /// When it is called, before there is a future.
    pub(crate) panics: bool,
}

/// What a future does. It never suspends but at a gate.
#[derive(Clone)]
pub(crate) struct Script {
    pub(crate) moves: Arc<[Move]>,
    pub(crate) panics: bool,
    pub(crate) panics_when_dropped: bool,
    pub(crate) output_panics_when_dropped: bool,
}

#[derive(Debug, Clone)]
pub(crate) enum Move {
    /// Waits until the gate is opened.
    Gate,
    Act(Act),
}

/// What a map or a stream goes over.
#[derive(Debug, Clone)]
pub(crate) struct Items {
    pub(crate) list: Vec<Item>,
    pub(crate) called_back: bool,
    /// The iterator panics where it would end.
    pub(crate) panics: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct Item {
    /// Done by the iterator, when it is asked for the item.
    pub(crate) acts: Vec<Act>,
    /// The function panics, so that there is no job.
    pub(crate) panics: bool,
    pub(crate) future: Script,
    pub(crate) callback: Callback,
}

/// As few words as tell it.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "with {} slots:", self.size)?;
        for Step { act, then } in &self.steps {
            match (act, then) {
                (Act::Nothing, Then::Settle) => {}
                (act, then) => writeln!(f, "    {act:?}, then {then:?}")?,
            }
        }
        write!(f, "    {:?}", self.ending)
    }
}

/// As few words as tell it.
impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for next in self.moves.iter() {
            match next {
                Move::Gate => f.write_str("gate, ")?,
                Move::Act(act) => write!(f, "{act:?}, ")?,
            }
        }
        f.write_str(if self.panics { "panics" } else { "returns" })?;
        if self.panics_when_dropped {
            f.write_str(", panics when dropped")?;
        }
        if self.output_panics_when_dropped {
            f.write_str(", output panics when dropped")?;
        }
        Ok(())
    }
}

impl Item {
    pub(crate) fn plan(&self, called_back: bool) -> Plan {
        Plan {
            future: self.future.clone(),
            callback: called_back.then(|| self.callback.clone()),
        }
    }
}

impl Act {
    /// Whether it may wait for the pool, or begins what does.
    pub(crate) fn waits(&self) -> bool {
        matches!(
            self,
            Self::Spawn(_)
                | Self::Exec(_)
                | Self::Map(_)
                | Self::Stream { .. }
                | Self::Join
                | Self::Cancel { .. }
                | Self::CancelAll
                | Self::AwaitHandle(_)
                | Self::ReadStream(_)
                | Self::PollForNothing(_)
        )
    }
}

impl Plan {
    /// A job that waits at one gate and returns.
    pub(crate) fn gated() -> Self {
        let future = Script {
            moves: Arc::new([Move::Gate]),
            panics: false,
            panics_when_dropped: false,
            output_panics_when_dropped: false,
        };
        Self {
            future,
            callback: None,
        }
    }
}
