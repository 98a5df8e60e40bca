//! The core against a naive model.

mod exhaustive;
mod random;
mod world;
