//! Where the user's futures wait, each at a gate of its own.

use std::collections::BTreeMap;
use std::task::{Context, Waker};

use crate::model::Name;

/// The gates at which somebody waits, or has waited.
#[derive(Default)]
pub(crate) struct Gates(BTreeMap<Name, Gate>);

struct Gate {
    open: bool,
    waker: Waker,
}

impl Gates {
    /// The futures that wait.
    pub(crate) fn waiting(&self) -> Vec<Name> {
        let closed = self.0.iter().filter(|(_, gate)| !gate.open);
        closed.map(|(name, _)| *name).collect()
    }

    /// Opens a gate; who waited at it is to be woken.
    pub(crate) fn open(&mut self, name: Name) -> Waker {
        let gate = self.0.get_mut(&name).expect("somebody waits at the gate");
        gate.open = true;
        gate.waker.clone()
    }

    pub(crate) fn waker(&self, name: Name) -> Waker {
        self.0[&name].waker.clone()
    }

    /// The futures that have not gone on, though their gates are open.
    pub(crate) fn missed(&self) -> Vec<Name> {
        let open = self.0.iter().filter(|(_, gate)| gate.open);
        open.map(|(name, _)| *name).collect()
    }

    pub(crate) fn pass(&mut self, name: Name, cx: &Context<'_>) -> bool {
        if self.0.get(&name).is_some_and(|gate| gate.open) {
            self.0.remove(&name);
            return true;
        }
        let waker = cx.waker().clone();
        self.0.insert(name, Gate { open: false, waker });
        false
    }

    pub(crate) fn close(&mut self, name: Name) {
        self.0.remove(&name);
    }
}
