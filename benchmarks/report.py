"""Writes RESULTS.md and the charts from the raw results: `python benchmarks/report.py PATH`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import charts
import raw
from case import LIMIT, LIMITS, LONG
from results import ASYNCIO, TOKIO, Results, part
from tables import target_table, workload_tables
from targets import OURS, limit_targets, python_targets, rust_targets


def write(path: Path) -> None:
    """Writes them beside the raw results."""
    results = raw.read(path)
    drawn = charts.draw(results, path.parent / "charts")
    text = "\n".join(_report(results, drawn, path.name))
    path.with_name("RESULTS.md").write_text(text + "\n")


def _report(results: Results, drawn: list[str], name: str) -> Iterator[str]:
    yield "# Results of the benchmark\n"
    quick = any(about["quick"] for about in results.about.values())
    command = "make bench-quick" if quick else "make bench"
    yield f"Written by `{command}`; the raw figures are in [{name}]({name}).\n"
    if quick:
        yield "**This is the quick benchmark**: fewer jobs than the targets are about, on one"
        yield "Python and one loop. Only the full one says whether a target is met.\n"
    if ASYNCIO in results.about:
        yield "\n## Targets of the asyncio face\n"
        yield f"On asyncio; memory, load test and cancelling on {results.newest}."
        yield "Costs are CPU time.\n"
        yield from target_table(python_targets(results))
    if TOKIO in results.about:
        yield "\n## Targets of the Tokio face\n"
        yield "Wall time.\n"
        yield from target_table(rust_targets(results))
    if part(ASYNCIO, LIMITS) in results.about:
        yield f"\n## Targets of the limits on asyncio\n\nOn {results.newest}. CPU time.\n"
        yield from target_table(limit_targets(results, OURS, results.newest, ["asyncio"]))
    if part(TOKIO, LIMITS) in results.about:
        yield "\n## Targets of the limits on Tokio\n\nCPU time.\n"
        flavors = ["multi_thread", "current_thread"]
        yield from target_table(limit_targets(results, "aiopool", "Rust", flavors))
    if drawn:
        yield "\n## Charts\n"
        yield from (f"![{Path(name).stem.replace('_', ' ')}](charts/{name})\n" for name in drawn)
    yield "\n## How it was measured\n"
    for face, about in results.about.items():
        yield from _setting(face, about)
    yield from _method()
    yield from _tables(results)
    yield from _commands(results)


def _setting(face: str, about: dict[str, Any]) -> Iterator[str]:
    load = "" if about["load"] is None else f"; load average {about['load']} when it began"
    yield f"| {face} | |\n| --- | --- |"
    yield f"| date | {about['date']}, {about['rounds']} rounds in {about['minutes']} minutes |"
    yield f"| commit | {about['commit']} |"
    yield f"| machine | {about['machine']}{load} |"
    for name, versions in about["versions"].items():
        listing = ", ".join(f"{what} {number}" for what, number in versions.items())
        yield f"| environment {name} | {listing} |"
    yield ""


def _method() -> Iterator[str]:
    yield f"""
Each figure is the median of all rounds, with the least and the most; ratios
are taken pair by pair within a round. Each run is a process of its own; subjects take turns within
a round. Wall and CPU time (user and system, of all threads) are those of the measured part;
memory is its peak of resident memory above what the process had before. A case that took longer
than {LONG} s has one run only, and its row says so; one that took longer than {LIMIT} s was
stopped. A delay is how much longer a sleep beside the jobs took than it should have; the jobs that
ran meanwhile are counted because a busy machine adds nothing to them. The tables are sorted by CPU
time, so the cheapest subject stands first. A subject that pulls items lazily has no job in the
queue, so its memory there is not measured."""


def _tables(results: Results) -> Iterator[str]:
    faces = dict.fromkeys((case.face, case.flavor) for case in results.cases)
    for face, flavor in faces:
        yield f"\n## {face}, {flavor}\n"
        yield "<details><summary>Tables</summary>\n"
        yield from workload_tables(results, face, flavor)
        yield "\n</details>"


def _commands(results: Results) -> Iterator[str]:
    """Those that differ only in the subject stand together."""
    by_command: dict[str, list[str]] = {}
    for case in results.cases:
        by_command.setdefault(replace(case, subject="$subject").command, []).append(case.subject)
    yield "\n## Commands\n"
    yield "<details><summary>Each was run once a round, from the root of the checkout</summary>\n"
    yield "```sh"
    for command, subjects in by_command.items():
        yield f"for subject in {' '.join(subjects)}; do {command}; done"
    yield "```\n\n</details>"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
