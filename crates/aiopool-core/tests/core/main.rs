//! The core against a naive model.

mod bytes;
mod corpus;
mod exhaustive;
mod random;
mod world;
