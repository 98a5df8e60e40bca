//! Deadlines: who is to be looked at when, the next first.

use alloc::vec::Vec;

use crate::steps::step;
use crate::time::Time;

/// A heap with at most one deadline for each index. A deadline is set, changed and cleared in
/// O(log n), and leaves nothing behind.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    heap: Vec<(Time, u32)>,
    /// Where in the heap the deadline of an index is.
    places: Vec<Option<u32>>,
}

impl Deadlines {
    pub(crate) fn next(&self) -> Option<Time> {
        self.heap.first().map(|(at, _)| *at)
    }

    pub(crate) fn get(&self, index: u32) -> Option<Time> {
        let place = (*self.places.get(index as usize)?)?;
        self.heap.get(place as usize).map(|(at, _)| *at)
    }

    /// The index whose deadline has come, which has none from now on.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<u32> {
        let (at, index) = *self.heap.first()?;
        (at <= now).then(|| {
            self.clear(index);
            index
        })
    }

    pub(crate) fn set(&mut self, index: u32, at: Time) {
        while self.places.len() <= index as usize {
            step();
            self.places.push(None);
        }
        let known = self.places.get(index as usize).copied().flatten();
        let place = known.map_or(self.heap.len(), |place| place as usize);
        match self.heap.get_mut(place) {
            Some(entry) => entry.0 = at,
            None => self.heap.push((at, index)),
        }
        self.settle(place);
    }

    pub(crate) fn clear(&mut self, index: u32) {
        let Some(place) = self.places.get_mut(index as usize).and_then(Option::take) else {
            return;
        };
        let place = place as usize;
        self.heap.swap_remove(place);
        if place < self.heap.len() {
            self.settle(place);
        }
    }

    /// Moves the entry at `place` to where it belongs.
    fn settle(&mut self, place: usize) {
        let place = self.rise(place);
        self.sink(place);
    }

    fn rise(&mut self, mut place: usize) -> usize {
        while place > 0 {
            step();
            let above = (place - 1) / 2;
            if self.at(above) <= self.at(place) {
                break;
            }
            self.swap(place, above);
            place = above;
        }
        place
    }

    fn sink(&mut self, mut place: usize) {
        loop {
            step();
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(first) = children.min_by_key(|child| self.at(*child)) else {
                break;
            };
            if self.at(place) <= self.at(first) {
                break;
            }
            self.swap(place, first);
            place = first;
        }
        self.note(place);
    }

    fn swap(&mut self, place: usize, other: usize) {
        self.heap.swap(place, other);
        self.note(place);
        self.note(other);
    }

    fn note(&mut self, place: usize) {
        let index = self.heap.get(place).map(|(_, index)| *index as usize);
        if let Some(noted) = index.and_then(|index| self.places.get_mut(index)) {
            *noted = u32::try_from(place).ok();
        }
    }

    fn at(&self, place: usize) -> Option<Time> {
        self.heap.get(place).map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Set(u32, u64),
        Clear(u32),
        PopDue(u64),
    }

    proptest! {
        #[test]
        fn deadlines_do_what_a_map_does(steps in prop::collection::vec(step(), 0..300)) {
            let (mut deadlines, mut map) = (Deadlines::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Set(index, at) => {
                        deadlines.set(index, Time::from_nanos(at));
                        map.insert(index, at);
                    }
                    Step::Clear(index) => {
                        deadlines.clear(index);
                        map.remove(&index);
                    }
                    Step::PopDue(now) => {
                        let popped = deadlines.pop_due(Time::from_nanos(now));
                        let at = popped.map(|index| map.remove(&index));
                        let next = map.values().min().copied();
                        match at {
                            // The next of all, and it has none any more.
                            Some(at) => {
                                let at = at.expect("it had one");
                                prop_assert!(at <= now && next.is_none_or(|next| at <= next));
                            }
                            None => prop_assert!(next.is_none_or(|next| next > now)),
                        }
                    }
                }
                let next = map.values().min().map(|at| Time::from_nanos(*at));
                prop_assert_eq!(deadlines.next(), next);
                for index in 0..INDICES {
                    let at = map.get(&index).map(|at| Time::from_nanos(*at));
                    prop_assert_eq!(deadlines.get(index), at);
                }
            }
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            5 => (0..INDICES, 0..50_u64).prop_map(|(index, at)| Step::Set(index, at)),
            1 => (0..INDICES).prop_map(Step::Clear),
            1 => (0..50_u64).prop_map(Step::PopDue),
        ]
    }

    const INDICES: u32 = 40;
}
