//! The core against a naive model.

mod attacked;
mod bytes;
mod corpus;
mod exhaustive;
mod laws;
mod model;
mod random;
mod settings;
mod telling;
mod world;
