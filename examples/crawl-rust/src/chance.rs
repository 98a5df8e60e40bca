//! Random numbers that come from a name alone, the same in Python and in Rust.

use std::array::from_fn;

use sha2::{Digest, Sha256};

/// The numbers that SHA-256 makes of a name and a counter.
pub(crate) struct Chance {
    numbers: Box<dyn Iterator<Item = u64>>,
}

impl Chance {
    pub(crate) fn new(name: String) -> Self {
        let numbers = (0_u64..).flat_map(move |counter| {
            let digest: [u8; 32] = Sha256::digest(format!("{name}/{counter}")).into();
            let numbers: [[u8; 8]; 4] = from_fn(|at| from_fn(|byte| digest[8 * at + byte]));
            numbers.map(u64::from_be_bytes)
        });
        Self {
            numbers: Box::new(numbers),
        }
    }

    /// A whole number, 0 to `limit` - 1.
    #[expect(clippy::cast_possible_truncation, reason = "it is below a usize")]
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A number from 0 up to 1, of 53 bits.
    #[expect(clippy::cast_precision_loss, reason = "an f64 holds 53 bits")]
    pub(crate) fn share(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn next(&mut self) -> u64 {
        self.numbers
            .next()
            .expect("there is always another counter")
    }
}
