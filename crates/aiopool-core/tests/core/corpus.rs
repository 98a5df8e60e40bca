//! What `make fuzz` has found to reach code in different ways.

use std::fs;
use std::path::Path;

use crate::bytes;

#[test]
fn the_core_does_what_the_naive_model_does_with_the_corpus_of_the_fuzzer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut inputs = 0;
    for input in fs::read_dir(corpus).expect("there is a corpus") {
        let path = input.expect("it can be listed").path();
        bytes::take(&fs::read(path).expect("it can be read"));
        inputs += 1;
    }
    assert!(inputs > 0, "the corpus is empty");
}
