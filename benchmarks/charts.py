"""The charts: SVG, readable on light and dark pages, the same for the same results."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from results import Measure, Result, Results, cpu, memory, over_ideal, wall

OURS = "#d9822b"
THEIRS = "#a9b4c2"
TEXT = "#808894"
LINES = (
    "#d9822b",
    "#c0504d",
    "#3f88c5",
    "#44a37c",
    "#8d6cab",
    "#a0803c",
    "#7d8fa3",
    "#d16ba5",
    "#3fb5b5",
)

mpl.use("svg")
mpl.rcParams.update(
    {
        "svg.hashsalt": "aiopool-rs",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 10,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        **dict.fromkeys(
            ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color"), TEXT
        ),
    }
)


def draw(results: Results, folder: Path) -> list[str]:
    """Draws what can be drawn of these results, and gives the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    face = results.newest
    drawn = []

    def bars(name: str, title: str, unit: str, measure: Measure, **wanted: str | int) -> None:
        cases = _largest(results.pick(**wanted))
        if cases:
            _bars(cases, f"{title}, {_setting(cases)}", unit, measure, folder / name)
            drawn.append(name)

    python: dict[str, str | int] = {"face": face, "flavor": "asyncio"}
    micro = _scaled(cpu, 1e6)
    what: dict[str, str | int] = {**python, "workload": "yield_once"}
    bars("cost_per_job.svg", "Jobs that yield once", "CPU, us a job", micro, **what)
    bars(
        "memory_per_waiting_job.svg",
        "Waiting jobs",
        "bytes a job",
        memory,
        workload="waiting",
        **python,
    )
    bars(
        "load_test.svg",
        "Sleeps of 0.2 s",
        "time over the ideal, %",
        over_ideal,
        workload="load_test",
        **python,
    )
    for flavor in ("multi_thread", "current_thread"):
        what = {"face": "Rust", "flavor": flavor, "workload": "yield_once", "slots": 1_000}
        nano = _scaled(wall, 1e9)
        bars(f"rust_cost_per_job_{flavor}.svg", "Jobs that yield once", "ns a job", nano, **what)
    growing = [case for case in results.pick(workload="growth", **python) if case.runs]
    if growing:
        _lines(growing, f"Jobs that yield once, {face}, asyncio", folder / "growth.svg")
        drawn.append("growth.svg")
    return drawn


def _largest(cases: list[Result]) -> list[Result]:
    """Each subject with the most jobs it has, if it was run."""
    best = {case.subject: case for case in sorted(cases, key=lambda case: case.jobs) if case.runs}
    return list(best.values())


def _setting(cases: list[Result]) -> str:
    case = max(cases, key=lambda case: case.jobs)
    return f"{case.face} {case.flavor}, {case.jobs:,} jobs, {case.slots:,} slots"


def _scaled(measure: Measure, factor: float) -> Measure:
    return lambda run: factor * measure(run)


def _bars(cases: list[Result], title: str, unit: str, measure: Measure, path: Path) -> None:
    spreads = [(_name(case, cases), spread) for case in cases if (spread := case.spread(measure))]
    spreads.sort(key=lambda pair: -pair[1].median)
    medians = [spread.median for _, spread in spreads]
    errors = [
        [spread.median - spread.least for _, spread in spreads],
        [spread.most - spread.median for _, spread in spreads],
    ]
    names = [subject for subject, _ in spreads]
    figure = Figure(figsize=(8, 0.9 + 0.27 * len(names)))
    axes = figure.add_subplot()
    colors = [OURS if name.startswith("aiopool") else THEIRS for name in names]
    axes.barh(names, medians, color=colors, xerr=errors, error_kw={"ecolor": TEXT, "capsize": 2})
    axes.set_xlabel(f"{unit} (median; the line goes from the least to the most)")
    axes.set_title(title, loc="left")
    _save(figure, path)


def _name(case: Result, beside: list[Result]) -> str:
    """The subject; with the number of its jobs, if that is not the one in the title."""
    most = max(other.jobs for other in beside)
    return case.subject if case.jobs == most else f"{case.subject} ({case.jobs:,} jobs)"


def _lines(cases: list[Result], title: str, path: Path) -> None:
    by_subject: dict[str, list[Result]] = {}
    for case in sorted(cases, key=lambda case: case.jobs):
        by_subject.setdefault(case.subject, []).append(case)
    figure = Figure(figsize=(8, 4.5))
    axes = figure.add_subplot()
    for index, (subject, of) in enumerate(sorted(by_subject.items())):
        points = [(case.jobs, spread.median) for case in of if (spread := case.spread(cpu))]
        jobs, costs = zip(*points, strict=True)
        style = "-" if subject.startswith("aiopool") else "--"
        micros = [1e6 * cost for cost in costs]
        axes.plot(jobs, micros, style, marker="o", label=subject, color=LINES[index % len(LINES)])
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("jobs")
    axes.set_ylabel("CPU, us a job")
    axes.set_title(title, loc="left")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    _save(figure, path)


def _save(figure: Figure, path: Path) -> None:
    # Neither the date nor the version of the library, which would differ without a difference.
    metadata = {"Date": None, "Creator": None}
    figure.savefig(path, transparent=True, bbox_inches="tight", metadata=metadata)
