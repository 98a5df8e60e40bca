"""Runs each case of the benchmark in a process of its own, round by round.

So whatever else the machine does disturbs all alike. `make bench` and `make bench-quick` make what
this needs.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import raw
import report
from case import GROUPS, LIMIT, LONG, Case
from machine import crates, describe, modules, packages
from plan import plan
from results import ASYNCIO, TOKIO, Result, part

ROOT = Path(__file__).parent.parent
FULL = Path("benchmarks/results.jsonl")
NODE = Path("benchmarks/node/node_modules")
QUICK = Path("target/bench-quick/results.jsonl")


def parse_arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python benchmarks/run.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="newest Python, asyncio, fewer jobs")
    parser.add_argument(
        "--everything", action="store_true", help="all workloads on all Pythons and loops: hours"
    )
    parser.add_argument("--rounds", type=int, default=5, help="runs of each case (default: 5)")
    parser.add_argument(
        "--only", metavar="REGEX", default="", help="cases whose label matches, and no others"
    )
    parser.add_argument(
        "--group", choices=GROUPS, help="only this one; the results of the other are kept"
    )
    faces = parser.add_mutually_exclusive_group()
    other = "the results of the other face are kept"
    faces.add_argument("--python-only", action="store_true", help=other)
    faces.add_argument("--rust-only", action="store_true", help=other)
    parser.add_argument("--list", action="store_true", help="print the labels and run nothing")
    parser.add_argument(
        "--raw", type=Path, metavar="PATH", help="raw results; RESULTS.md goes beside them"
    )
    args = parser.parse_args()
    if args.rounds < 1:
        parser.error("--rounds must be positive")
    return args


def environments() -> dict[str, Path]:
    """The interpreters that `make` has set up for the benchmark, the newest last."""
    stamps = Path().glob(".venv-bench-*/bin/.bench")
    found = {
        stamp.parts[0].removeprefix(".venv-bench-"): stamp.parent / "python" for stamp in stamps
    }
    return dict(sorted(found.items(), key=lambda item: [int(part) for part in item[0].split(".")]))


def build_rust() -> bool:
    """Builds the Rust cases, if this checkout has them."""
    if not Path("benchmarks/rust/Cargo.toml").exists():
        return False
    build = ["cargo", "build", "--release", "--locked", "-p", "aiopool-bench"]
    subprocess.run(build, check=True)
    return True


def run(cases: list[Case], rounds: int) -> Iterator[list[Result]]:
    """The results so far, after each round; what is too slow or fails is not repeated."""
    results = [Result(**vars(case)) for case in cases]
    for number in range(rounds):
        # Each round begins elsewhere, so that nobody always runs after the same neighbour.
        first = number * len(cases) // rounds
        order = [*range(first, len(cases)), *range(first)]
        for count, index in enumerate(order, start=1):
            result = results[index]
            if result.problem or result.long:
                continue
            print(f"round {number + 1}/{rounds}, {count}/{len(cases)}: {result.label}", flush=True)
            began = time.monotonic()
            cost = run_once(result)
            if "problem" in cost:
                results[index] = replace(result, problem=cost["problem"])
                print(f"  {cost['problem']}", flush=True)
                continue
            result.runs.append({"round": number} | cost)
            if time.monotonic() - began > LONG:
                results[index] = replace(result, long=True)
        yield results


def run_once(case: Case) -> dict[str, Any]:
    """What the case has cost. What is in the way, if anything, is under `problem`."""
    command = case.command.split()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT, check=False)
    except subprocess.TimeoutExpired:
        return {"problem": f"stopped after {LIMIT} s"}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        return {"problem": f"failed with exit code {done.returncode}: {last}"}
    cost: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    if "unavailable" in cost:
        return {"problem": f"left out: {cost['unavailable']}"}
    return cost


def measure(face: str, cases: list[Case], about: dict[str, Any], path: Path) -> None:
    """Runs the cases of a face, group by group."""
    for group in GROUPS:
        found = [case for case in cases if case.group == group]
        if found:
            measure_part(part(face, group), found, about | {"group": group}, path)


def measure_part(name: str, cases: list[Case], about: dict[str, Any], path: Path) -> None:
    """The results take the place of those that are there."""
    began = time.time()
    about["programs"] = {case.face: case.program for case in cases}
    for results in run(cases, about["rounds"]):
        about["minutes"] = round((time.time() - began) / 60, 1)
        raw.write(raw.read(path).replaced(name, about, results), path)


def main() -> None:
    """Does what the command line asks for."""
    args = parse_arguments()
    pythons = {} if args.rust_only else environments()
    if args.quick:
        pythons = dict(list(pythons.items())[-1:])
    rust = not args.python_only and build_rust()
    node = not args.rust_only and NODE.exists() and shutil.which("node") is not None
    cases = plan(pythons, rust=rust, node=node, quick=args.quick, everything=args.everything)
    cases = [case for case in cases if re.search(args.only, case.label)]
    cases = [case for case in cases if args.group in (None, case.group)]
    if args.list:
        for case in cases:
            print(case.label)
        return
    if not cases:
        sys.exit("no such case, or no environment: `make bench` sets them up")
    path = args.raw or (QUICK if args.quick else FULL)
    path.parent.mkdir(parents=True, exist_ok=True)
    of_rust = [case for case in cases if case.face == "Rust"]
    of_node = [case for case in cases if case.face == "Node"]
    of_python = [case for case in cases if case.face not in ("Rust", "Node")]
    how = {"quick": args.quick, "rounds": args.rounds}
    if of_python:
        versions = {version: packages(python) for version, python in pythons.items()}
        measure(ASYNCIO, of_python, describe(versions) | how, path)
    if of_rust:
        measure(TOKIO, of_rust, describe({"Rust": crates()}) | how, path)
    if of_node:
        measure("Node", of_node, describe({"Node": modules()}) | how, path)
    report.write(path)
    print(f"{path.with_name('RESULTS.md')} is written")


if __name__ == "__main__":
    os.chdir(ROOT)
    main()
