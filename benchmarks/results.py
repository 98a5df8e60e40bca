"""What was measured, and the figures that are taken from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from case import JOBS, LIMITS, Case

#: The faces, each of which is measured by itself.
ASYNCIO, TOKIO = "asyncio", "Tokio"


def part(face: str, group: str) -> str:
    """The name under which a group of a face is told of."""
    return face if group == JOBS else f"{face}, {group}"


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
class Result(Case):
    """A case and its runs."""

    #: What each run has cost, with the number of its round.
    runs: list[dict[str, float]] = field(default_factory=list)
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

    def beyond(self, other: Result, measure: Measure) -> Spread | None:
        """How much more than the figure of the other this one is, pair by pair within a round."""
        theirs = {run["round"]: measure(run) for run in other.runs}
        return Spread.of(
            measure(run) - theirs[run["round"]] for run in self.runs if run["round"] in theirs
        )


@dataclass(frozen=True)
class Results:
    """All of a benchmark: what was measured of each face, perhaps at different times."""

    #: By part: when, on what, with which programs and versions it was measured.
    about: dict[str, dict[str, Any]]
    cases: list[Result] = field(default_factory=list)

    def of(self, name: str) -> list[Result]:
        """The cases of a part."""
        about = self.about.get(name, {"programs": {}})
        group = about.get("group", JOBS)
        return [
            case for case in self.cases if case.face in about["programs"] and case.group == group
        ]

    def replaced(self, name: str, about: dict[str, Any], cases: list[Result]) -> Results:
        """With these results of a part in the place of those that are there."""
        old = self.of(name)
        kept = [case for case in self.cases if case not in old]
        return Results(self.about | {name: about}, kept + cases)

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
        names = [part(ASYNCIO, group) for group in (JOBS, LIMITS)]
        return next(
            (list(self.about[name]["versions"]) for name in names if name in self.about), []
        )

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


def delay_median(run: dict[str, float]) -> float:
    """Seconds by which a sleep beside the jobs came late, in the middle of all."""
    return run["delay_median"]


def delay_most(run: dict[str, float]) -> float:
    """Seconds by which the latest came."""
    return run["delay_most"]


def jobs_most(run: dict[str, float]) -> float:
    """The most jobs that ran during one sleep."""
    return run["jobs_most"]


def added(run: dict[str, float]) -> float:
    """Seconds of CPU time per job that a limit adds."""
    return run["added"] / run["jobs"]


def times(run: dict[str, float]) -> float:
    """How many times as much CPU time a job takes with the limit."""
    return run["times"]


def most_starts(run: dict[str, float]) -> float:
    """The most starts in any window as long as that of the rate."""
    return run["most_starts"]


def most_lines(run: dict[str, float]) -> float:
    """The same, of the first lines of the jobs."""
    return run["most_lines"]


def drain(run: dict[str, float]) -> float:
    """Seconds of CPU time per job from the time when all wait."""
    return run["drain"]


def slowest_start(run: dict[str, float]) -> float:
    """Seconds of CPU time between one start and the next, at most."""
    return run["slowest_start"]


def starts(run: dict[str, float]) -> float:
    """The number of the start that goes to the lowest level."""
    return run["starts"]


def highest(run: dict[str, float]) -> float:
    """The part of the starts that goes to the highest level."""
    return run["highest"]
