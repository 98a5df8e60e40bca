//! Any bytes are steps that are told to the core and to its naive model.

#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../tests/core/bytes.rs"]
mod bytes;
#[path = "../../tests/core/model.rs"]
mod model;
#[expect(dead_code, reason = "the enumeration of all sequences uses more of it")]
#[path = "../../tests/core/settings.rs"]
mod settings;
#[expect(dead_code, reason = "the enumeration of all sequences uses more of it")]
#[path = "../../tests/core/world.rs"]
mod world;

fuzz_target!(|input: &[u8]| bytes::take(input));
