"""Which of the cases are run: those that fit into the time that there is."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from case import Case

PYTHON_PROGRAM = "benchmarks/python"
RUST_PROGRAM = "target/release/aiopool-bench"
NODE_PROGRAM = "node benchmarks/node/limits.js"

#: What is measured on every Python and loop. The rest is measured on the newest, on asyncio.
EVERYWHERE = {"ready", "nine_of_ten_ready", "yield_once"}
#: What is measured on the newest Python with uvloop too.
ON_UVLOOP = {"first_result", "http"}

#: The most jobs of a workload in the quick benchmark; what is not here is left out of it.
QUICK_PYTHON_JOBS = {
    "yield_once": 5_000,
    "latency": 10_000,
    "waiting": 50_000,
    "first_result": 50_000,
    "cancel": 11_000,
    "load_test": 3_000,
}
QUICK_RUST_JOBS = {
    "yield_once": 50_000,
    "yield_compute": 20_000,
    "latency": 50_000,
    "waiting": 100_000,
    "cancel": 50_000,
}
SLOTS = 1_000


def plan(
    environments: dict[str, Path], *, rust: bool, node: bool, quick: bool, everything: bool
) -> list[Case]:
    """The cases of one round, in an order in which those that are compared are neighbours.

    :param environments: the interpreters by version, the newest last.
    :param rust: whether the program of the Rust cases is built.
    :param node: whether there is Node, with what it needs.
    :param quick: less of everything.
    :param everything: all workloads on every Python and loop, which takes hours.
    """
    newest = list(environments)[-1:]
    found: list[Case] = []
    for version, python in environments.items():
        for case in _listed(f"CPython {version}", f"{python} {PYTHON_PROGRAM}"):
            main = [version] == newest and case.flavor == "asyncio"
            if quick:
                found += _in_quick(case, QUICK_PYTHON_JOBS) if main else []
            elif everything or main or _is_wide(case, newest=[version] == newest):
                found.append(case)
    if rust:
        for case in _listed("Rust", RUST_PROGRAM):
            found += _in_quick(case, QUICK_RUST_JOBS) if quick else [case]
    if node and not quick:
        found += _listed("Node", NODE_PROGRAM)
    return sorted(dict.fromkeys(found), key=_group)


def _listed(face: str, program: str) -> Iterator[Case]:
    command = [*program.split(), "list"]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for line in lines.splitlines():
        yield Case(face=face, program=program, **json.loads(line))


def _is_wide(case: Case, *, newest: bool) -> bool:
    return case.workload in EVERYWHERE or (newest and case.workload in ON_UVLOOP)


def _in_quick(case: Case, most: dict[str, int]) -> list[Case]:
    if case.slots != SLOTS or case.jobs < most.get(case.workload, case.jobs + 1):
        return []
    return [_at_most(case, most)]


def _at_most(case: Case, most: dict[str, int]) -> Case:
    return replace(case, jobs=min(case.jobs, most.get(case.workload, case.jobs)))


def _group(case: Case) -> tuple[str, str, str, int, int]:
    return case.face, case.flavor, case.workload, case.jobs, case.slots
