"""The raw results, and the figures that are taken from them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

#: The faces, each of which is measured by itself.
ASYNCIO, TOKIO = "asyncio", "Tokio"

#: Takes a figure from one run.
Measure = Callable[[dict[str, float]], float]


@dataclass(frozen=True)
class Spread:
    """The median, with the least and the most."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Spread | None:
        """None if there are no values."""
        found = sorted(values)
        return cls(median(found), found[0], found[-1]) if found else None


@dataclass(frozen=True)
class Result:
    """A case and its runs."""

    face: str
    flavor: str
    subject: str
    workload: str
    jobs: int
    slots: int
    command: str
    runs: list[dict[str, float]]
    problem: str = ""
    long: bool = False

    def spread(self, measure: Measure) -> Spread | None:
        """The figure over all runs."""
        return Spread.of(measure(run) for run in self.runs)

    def over(self, other: Result, measure: Measure) -> Spread | None:
        """How many times the figure of the other this one is, pair by pair within a round."""
        theirs = {run["round"]: measure(run) for run in other.runs}
        return Spread.of(
            measure(run) / theirs[run["round"]] for run in self.runs if theirs.get(run["round"])
        )


@dataclass(frozen=True)
class Results:
    """All of a benchmark: what was measured of each face, perhaps at different times."""

    #: By face: when, on what and with which versions it was measured.
    about: dict[str, dict[str, Any]]
    cases: list[Result] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> Results:
        """Those of the runner."""
        parts = json.loads(path.read_text())
        about = {face: part["about"] for face, part in parts.items()}
        cases = [Result(**case) for part in parts.values() for case in part["cases"]]
        return cls(about, cases)

    def pick(self, **wanted: str | int) -> list[Result]:
        """The cases that have these attributes."""
        return [
            case
            for case in self.cases
            if all(getattr(case, name) == value for name, value in wanted.items())
        ]

    def one(self, **wanted: str | int) -> Result | None:
        """The case that has these attributes; that with the most jobs, if several have."""
        return max(self.pick(**wanted), key=lambda case: case.jobs, default=None)

    @property
    def pythons(self) -> list[str]:
        """The versions of Python that were measured, the newest last."""
        return list(self.about.get(ASYNCIO, {"versions": {}})["versions"])

    @property
    def newest(self) -> str:
        """The Python that all workloads were measured on."""
        return f"CPython {self.pythons[-1]}" if self.pythons else ""


def wall(run: dict[str, float]) -> float:
    """Seconds of wall time per job."""
    return run["wall"] / run["jobs"]


def cpu(run: dict[str, float]) -> float:
    """Seconds of CPU time per job."""
    return run["cpu"] / run["jobs"]


def memory(run: dict[str, float]) -> float:
    """Bytes per job, its own future not counted where that is known."""
    return run["peak"] / run["jobs"] - run.get("future_bytes", 0)


def over_ideal(run: dict[str, float]) -> float:
    """The time beyond that of the sleeps, in percent."""
    return 100 * run["over_ideal"]


def first_result(run: dict[str, float]) -> float:
    """Seconds until the first result."""
    return run["first_result"]
