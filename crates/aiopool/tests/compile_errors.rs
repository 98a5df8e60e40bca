//! What the compiler says to a user who hands in what is not a job.
//!
//! `TRYBUILD=overwrite cargo test -p aiopool --test compile_errors` writes the messages down; look at
//! them with the eyes of somebody who has never seen this crate.

#![cfg(not(aiopool_models))]

use std::process::Command;

#[test]
fn the_errors_that_users_meet_first() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output();
    let version = version.map_or_else(
        |error| error.to_string(),
        |output| String::from_utf8_lossy(&output.stdout).into_owned(),
    );
    // Each version words its messages a little differently.
    if version.starts_with(WRITTEN_DOWN_WITH) {
        trybuild::TestCases::new().compile_fail("tests/compile_errors/*.rs");
    } else {
        eprintln!("left out: the messages are those of {WRITTEN_DOWN_WITH}, this is {version}");
    }
}

const WRITTEN_DOWN_WITH: &str = "rustc 1.95.";
