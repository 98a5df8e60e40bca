"""Writes RESULTS.md and the charts from the raw results: `python benchmarks/report.py PATH`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import charts
from case import LIMIT, LONG
from results import Results
from tables import target_table, workload_tables
from targets import python_targets, rust_targets


def write(path: Path) -> None:
    """Writes them beside the raw results."""
    results = Results.read(path)
    drawn = charts.draw(results, path.parent / "charts")
    text = "\n".join(_report(results, drawn, path.name))
    path.with_name("RESULTS.md").write_text(text + "\n")


def _report(results: Results, drawn: list[str], raw: str) -> Iterator[str]:
    about = results.about
    yield "# Results of the benchmark\n"
    command = "make bench-quick" if about["quick"] else "make bench"
    yield f"Written by `{command}`; the raw figures are in [{raw}]({raw}).\n"
    if about["quick"]:
        yield "**This is the quick benchmark**: fewer jobs than the targets are about, on one"
        yield "Python and one loop. Only the full one says whether a target is met.\n"
    yield from _setting(results)
    yield from _method(results)
    if about["pythons"]:
        yield "\n## Targets of the asyncio face\n"
        yield f"On asyncio; memory, load test and cancelling on {results.newest}."
        yield "Costs are CPU time.\n"
        yield from target_table(python_targets(results))
    if about["rust"]:
        yield "\n## Targets of the Tokio face\n"
        yield from target_table(rust_targets(results))
    if drawn:
        yield "\n## Charts\n"
        yield from (f"![{Path(name).stem.replace('_', ' ')}](charts/{name})\n" for name in drawn)
    yield from _tables(results)
    yield from _commands(results)


def _setting(results: Results) -> Iterator[str]:
    about = results.about
    load = "" if about["load"] is None else f"; load average {about['load']} when it began"
    yield "| what | |\n| --- | --- |"
    yield f"| date | {about['date']}, in {about['minutes']} minutes |"
    yield f"| commit | {about['commit']} |"
    yield f"| machine | {about['machine']}{load} |"
    for version, packages in about["pythons"].items():
        listing = ", ".join(f"{name} {number}" for name, number in packages.items())
        yield f"| environment {version} | {listing} |"
    if about["rust"]:
        listing = ", ".join(f"{name} {number}" for name, number in about["rust"].items())
        yield f"| Rust | {listing} |"


def _method(results: Results) -> Iterator[str]:
    yield f"""
Each figure is the median of {results.about["rounds"]} rounds, with the least and the most; ratios
are taken pair by pair within a round. Each run is a process of its own; subjects take turns within
a round. Wall and CPU time (user and system, of all threads) are those of the measured part;
memory is its peak of resident memory above what the process had before. A case that took longer
than {LONG} s has one run only, and its row says so; one that took longer than {LIMIT} s was
stopped. The tables are sorted by CPU time, so whoever wins stands first. Whoever pulls items
lazily has no job in line, so its memory there is not measured."""


def _tables(results: Results) -> Iterator[str]:
    faces = dict.fromkeys((case.face, case.flavor) for case in results.cases)
    for face, flavor in faces:
        main = (face, flavor) == (results.newest, "asyncio")
        yield f"\n## {face}, {flavor}\n"
        yield from () if main else ("<details><summary>Tables</summary>\n",)
        yield from workload_tables(results, face, flavor)
        yield from () if main else ("\n</details>",)


def _commands(results: Results) -> Iterator[str]:
    yield "\n## Commands\n"
    yield "<details><summary>Each was run once a round, from the root of the checkout</summary>\n"
    yield "```sh"
    yield from (case.command for case in results.cases)
    yield "```\n\n</details>"


if __name__ == "__main__":
    write(Path(sys.argv[1]))
