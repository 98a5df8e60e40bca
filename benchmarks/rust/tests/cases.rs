//! That every case runs to its end, with the results that it must have.

#![expect(clippy::unwrap_used, reason = "to panic is how a test fails")]

use std::collections::HashSet;
use std::process::Command;

use aiopool_bench::cases::cases;
use serde_json::Value;

#[test]
fn every_case_runs_its_jobs() {
    // Those that differ by their numbers are one here.
    let mut seen = HashSet::new();
    for case in cases() {
        let case = case.in_small();
        if seen.insert(case.json().to_string()) {
            let cost = case.run();
            assert!(cost.is_ok(), "{}: {cost:?}", case.json());
        }
    }
    assert!(!seen.is_empty());
}

#[test]
fn a_listed_case_can_be_run_by_its_names() {
    let list = bench(&["list"]);
    let case: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let name = |key: &str| case[key].as_str().unwrap().to_owned();
    let names = ["subject", "workload", "flavor"].map(name);
    let [subject, workload, flavor] = names.each_ref().map(String::as_str);
    let cost = bench(&["run", subject, workload, flavor, "--jobs=50", "--slots=4"]);
    let cost: Value = serde_json::from_str(cost.lines().last().unwrap()).unwrap();
    assert_eq!(cost["jobs"], 50);
    assert!(cost["wall"].is_f64() && cost["cpu"].is_f64() && cost["peak"].is_u64());
}

#[test]
fn a_sleep_beside_the_jobs_of_each_kind_of_subject_is_timed() {
    for subject in ["aiopool.map", "aiopool.spawn_n", "join_set.permit_before"] {
        let arguments = ["run", subject, "latency", "multi_thread"];
        let cost = bench(&[&arguments[..], &["--jobs=50", "--slots=4"]].concat());
        let cost: Value = serde_json::from_str(cost.lines().last().unwrap()).unwrap();
        assert!(cost["sleeps"].as_u64().unwrap() > 0);
        assert!(cost["jobs_most"].as_u64().unwrap() <= 50);
        let [median, most] = ["delay_median", "delay_most"].map(|name| cost[name].as_f64());
        assert!(median.unwrap() <= most.unwrap());
    }
}

fn bench(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_aiopool-bench"))
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}
