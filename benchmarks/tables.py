"""The tables of the report, in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from results import (
    Measure,
    Result,
    Results,
    Spread,
    added,
    cpu,
    delay_median,
    delay_most,
    drain,
    first_result,
    highest,
    jobs_most,
    memory,
    most_lines,
    most_starts,
    over_ideal,
    slowest_start,
    starts,
    times,
    wall,
)
from targets import Target

#: What the ratios of a workload are taken to; of these the first that was measured.
REFERENCES = {
    "waiting": ("aiopool-rs.spawn_n", "aiopool.spawn_n"),
    "cancel": ("aiopool-rs.spawn_n", "aiopool.spawn_n"),
    "first_result": ("aiopool-rs.itermap",),
    **dict.fromkeys(("strictness", "rate"), ("aiopool-rs.limits.window", "aiopool.limits.window")),
    **dict.fromkeys(
        ("keys", "waiting_keyed", "waiting_keyless"),
        ("aiopool-rs.limits.spawn_n", "aiopool.limits.spawn_n"),
    ),
    "levels": ("aiopool-rs.limits.priorities", "aiopool.limits.priorities"),
}
REFERENCE = ("aiopool-rs.map", "aiopool.map")

#: What only some workloads measure: the head of the column, the figure, and the unit's factor.
LATE: list[tuple[str, Measure, float]] = [
    ("median delay, ms", delay_median, 1e3),
    ("worst delay, ms", delay_most, 1e3),
    ("most jobs during a sleep", jobs_most, 1),
]
ADDED: list[tuple[str, Measure, float]] = [
    ("added to a job, ns of CPU", added, 1e9),
    ("CPU, to that without", times, 1),
]
WAITED: list[tuple[str, Measure, float]] = [
    ("then, ns of CPU a job", drain, 1e9),
    ("slowest start, us of CPU", slowest_start, 1e6),
]
EXTRAS: dict[str, list[tuple[str, Measure, float]]] = {
    "strictness": [
        ("most starts in a window", most_starts, 1),
        ("most first lines of jobs", most_lines, 1),
    ],
    "rate": ADDED,
    "keys": ADDED,
    "waiting_keyed": WAITED,
    "waiting_keyless": WAITED,
    "levels": [("its start is number", starts, 1), ("part of the highest level", highest, 1)],
    "latency": LATE,
    "latency_yield_once": LATE,
    "load_test": [("over the ideal, %", over_ideal, 1)],
    "first_result": [("first result, ms", first_result, 1e3)],
}

WORKLOADS = {
    "ready": "Jobs that never suspend",
    "nine_of_ten_ready": "Jobs of which every tenth yields once",
    "yield_once": "Jobs that yield once",
    "growth": "Growth: jobs that yield once",
    "yield_compute": "Jobs that yield once and use 5 us of CPU",
    "woken": "Jobs that another task wakes",
    "latency": "A sleep of 1 ms beside jobs that use 10 us of CPU and never suspend",
    "latency_yield_once": "A sleep of 1 ms beside jobs that yield once and use 10 us of CPU",
    "items": "Items of an iterator",
    "load_test": "The load test of asyncio-pool: sleeps of 0.2 s",
    "waiting": "Jobs in the queue while all slots are held",
    "first_result": "The first result of a stream",
    "cancel": "Cancelling jobs that wait, and those in the slots",
    "http": "Requests with aiohttp to a local server",
    "strictness": "Starts in any window of a rate of 40, jobs of random length that come in bursts",
    "rate": "Jobs that yield once, with a rate that is never reached, and without",
    "keys": "Jobs that yield once, with 10,000 keys of one place each, and without",
    "waiting_keyed": "Jobs of 10,000 keys in the queue, and then all of them",
    "waiting_keyless": "The same without keys",
    "levels": "A job on the lowest of so many levels, beside a flood on each of the others",
}


def target_table(targets: Iterable[Target]) -> Iterator[str]:
    """A row for each target, with the figure that comes nearest to its bound or misses it most."""
    yield "| target | bound | figures: median (least to most) | met |"
    yield "| --- | --- | --- | --- |"
    for target in targets:
        bound = (
            f"at least {target.least:g}" if target.least is not None else f"at most {target.most:g}"
        )
        met = {True: "yes", False: "**no**", None: "not measured"}[target.met]
        figures = "<br>".join(
            f"{figure.label}: {_figure(figure.value, target.unit)}" for figure in target.figures
        )
        yield f"| {target.text} | {bound} {target.unit} | {figures} | {met} |"


def workload_tables(results: Results, face: str, flavor: str) -> Iterator[str]:
    """A table for each workload that this face was given on this loop or runtime."""
    for workload, title in WORKLOADS.items():
        cases = results.pick(face=face, flavor=flavor, workload=workload)
        for jobs, slots in sorted({(case.jobs, case.slots) for case in cases}):
            group = [case for case in cases if (case.jobs, case.slots) == (jobs, slots)]
            what = "levels" if workload == "levels" else "jobs"
            yield f"\n#### {title}: {jobs:,} {what}, {slots:,} slots\n"
            yield from _table(group, workload)


def _table(group: list[Result], workload: str) -> Iterator[str]:
    reference = _reference(group, workload)
    extras = EXTRAS.get(workload, [])
    name = reference.subject if reference else "-"
    unit, factor = ("ns", 1e9) if group[0].face == "Rust" else ("us", 1e6)
    heads = ["subject", f"wall, {unit} a job", f"CPU, {unit} a job"]
    heads += [f"wall / `{name}`", f"CPU / `{name}`"]
    heads += ["peak memory, B a job", *(head for head, _, _ in extras)]
    yield "| " + " | ".join(heads) + " |"
    yield "| --- |" + " ---: |" * (len(heads) - 1)
    for case in sorted(group, key=_by_cpu):
        if not case.runs:
            yield f"| {case.subject} | {case.problem or 'not run'} |" + " |" * (len(heads) - 2)
            continue
        cells = [case.subject + (" (1 run)" if len(case.runs) == 1 else "")]
        cells += [_spread(case.spread(measure), factor) for measure in (wall, cpu)]
        for measure in (wall, cpu):
            cells.append(_spread(case.over(reference, measure)) if reference else "-")
        cells.append(_spread(case.spread(memory)))
        cells += [_spread(case.spread(measure), scale) for _, measure, scale in extras]
        yield "| " + " | ".join(cells) + " |"


def _reference(group: list[Result], workload: str) -> Result | None:
    by_name = {case.subject: case for case in group if case.runs}
    names = REFERENCES.get(workload, REFERENCE)
    return next((by_name[name] for name in names if name in by_name), None)


def _by_cpu(case: Result) -> float:
    spread = case.spread(cpu)
    return spread.median if spread else float("inf")


def _spread(spread: Spread | None, unit: float = 1) -> str:
    if spread is None:
        return "-"
    median, least, most = (
        _number(unit * value) for value in (spread.median, spread.least, spread.most)
    )
    return f"{median} ({least} to {most})"


def _figure(spread: Spread | None, unit: str) -> str:
    return f"{_spread(spread)} {unit}" if spread else "not measured"


def _number(value: float) -> str:
    """Three digits that mean something."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
