//! A queue of values that grows without moving what is in it.

use std::collections::VecDeque;

/// A queue in chunks: however long it is, a step takes the same time, save that the list of the
/// chunks grows. An entry is taken out where it stands, and keeps its place until those before it
/// have been taken out too.
pub(crate) struct Places<T> {
    chunks: VecDeque<Vec<Option<T>>>,
    /// How many places of the first chunk are not there any more.
    gone: usize,
    len: usize,
}

impl<T> Places<T> {
    pub(crate) fn new() -> Self {
        Self {
            chunks: VecDeque::new(),
            gone: 0,
            len: 0,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds a place, which may be filled later.
    pub(crate) fn push_back(&mut self, value: Option<T>) {
        match self.chunks.back_mut() {
            Some(chunk) if chunk.len() < PLACES => chunk.push(value),
            // The first grows to its size: most sources are short.
            None => self.chunks.push_back(vec![value]),
            Some(_) => {
                let mut chunk = Vec::with_capacity(PLACES);
                chunk.push(value);
                self.chunks.push_back(chunk);
            }
        }
        self.len += 1;
    }

    /// Takes the last place back.
    pub(crate) fn pop_back(&mut self) {
        let Some(chunk) = self.chunks.back_mut() else {
            return;
        };
        chunk.pop();
        self.len -= 1;
        if chunk.is_empty() && self.chunks.len() > 1 {
            self.chunks.pop_back();
        }
        self.tidy();
    }

    pub(crate) fn fill(&mut self, index: usize, value: T) {
        let place = self.gone + index;
        self.chunks[place / PLACES][place % PLACES] = Some(value);
    }

    /// Whether the first place is filled.
    pub(crate) fn is_ready(&self) -> bool {
        let chunk = self.chunks.front();
        chunk.is_some_and(|chunk| matches!(chunk.get(self.gone), Some(Some(_))))
    }

    /// Takes the first place away, if it is filled.
    pub(crate) fn pop_ready(&mut self) -> Option<T> {
        let chunk = self.chunks.front_mut()?;
        let value = chunk.get_mut(self.gone)?.take()?;
        self.gone += 1;
        self.len -= 1;
        if self.gone == PLACES && self.len > 0 {
            self.chunks.pop_front();
            self.gone = 0;
        }
        self.tidy();
        Some(value)
    }

    /// What the places are filled with, those that are left.
    pub(crate) fn into_values(self) -> impl Iterator<Item = T> {
        self.chunks.into_iter().flatten().flatten()
    }

    /// The storage of the last chunk serves what comes next.
    fn tidy(&mut self) {
        if self.len == 0 {
            self.chunks.iter_mut().for_each(Vec::clear);
            self.gone = 0;
        }
    }
}

/// How many places a chunk has.
const PLACES: usize = 64;

#[cfg(all(test, not(aiopool_models)))]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone, Copy)]
    enum Step {
        Push(bool),
        PopBack,
        Fill(usize),
        PopReady,
    }

    proptest! {
        #[test]
        fn places_do_what_a_plain_queue_does(steps in prop::collection::vec(step(), 0..600)) {
            let mut places = Places::new();
            let mut plain = VecDeque::new();
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Push(filled) => {
                        let value = filled.then_some(number);
                        places.push_back(value);
                        plain.push_back(value);
                    }
                    Step::PopBack => {
                        // What is filled is not taken back.
                        if plain.back().is_some_and(Option::is_none) {
                            places.pop_back();
                            plain.pop_back();
                        }
                    }
                    Step::Fill(index) if !plain.is_empty() => {
                        let index = index % plain.len();
                        places.fill(index, number);
                        plain[index] = Some(number);
                    }
                    Step::Fill(_) => {}
                    Step::PopReady => {
                        let ready = plain.front_mut().and_then(Option::take);
                        if ready.is_some() {
                            plain.pop_front();
                        }
                        prop_assert_eq!(places.pop_ready(), ready);
                    }
                }
                prop_assert_eq!(places.len(), plain.len());
                prop_assert_eq!(places.is_ready(), plain.front().is_some_and(Option::is_some));
            }
            prop_assert!(places.into_values().eq(plain.into_iter().flatten()));
        }
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => any::<bool>().prop_map(Step::Push),
            1 => Just(Step::PopBack),
            3 => any::<usize>().prop_map(Step::Fill),
            3 => Just(Step::PopReady),
        ]
    }

    #[test]
    fn places_that_grow_leave_what_is_in_them_where_it_is() {
        let mut places = Places::new();
        for number in 0..=PLACES {
            places.push_back(Some(number));
        }
        let first = std::ptr::from_ref(&places.chunks[0][0]);
        for number in 0..10_000 {
            places.push_back(Some(number));
        }
        assert_eq!(first, std::ptr::from_ref(&places.chunks[0][0]));
    }
}
