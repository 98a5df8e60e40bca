"""What this package sets out to reach, and whether it does."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import astuple, dataclass

from results import (
    Measure,
    Result,
    Results,
    Spread,
    added,
    cpu,
    highest,
    jobs_most,
    memory,
    most_starts,
    over_ideal,
    slowest_start,
    starts,
    times,
    wall,
)

OURS = "aiopool-rs"
REUSING = "aiopool-rs.reuse_tasks"
EAGER = "aiopool-rs.eager"
EAGER_TASK_GROUP = "TaskGroup.eager.semaphore_before"
ORIGINAL = "asyncio-pool"
PYTHON_VERBS = ("spawn", "spawn_n", "map", "map_n", "itermap")
UNLIMITED_OR_FLOOR = {"gather.unlimited", "workers.shared_iterator"}

TASK_GROUPS = ("TaskGroup.semaphore_before", "TaskGroup.semaphore_inside")

RUST_VERBS = ("aiopool.spawn", "aiopool.spawn_n", "aiopool.map", "aiopool.itermap")
JOIN_SETS = ("join_set.permit_before", "join_set.permit_inside")
TASK_PER_JOB = (
    *JOIN_SETS,
    "bounded_join_set",
    "tokio-task-pool",
)


@dataclass(frozen=True)
class Figure:
    """What was measured for a target, or None if it was not."""

    label: str
    value: Spread | None


@dataclass(frozen=True)
class Target:
    """A bound that all its figures have to keep."""

    text: str
    unit: str
    figures: list[Figure]
    least: float | None = None
    most: float | None = None

    @property
    def met(self) -> bool | None:
        """By the medians. None if a figure is missing and the others keep the bound."""
        medians = [figure.value.median for figure in self.figures if figure.value]
        low, high = min(medians, default=None), max(medians, default=None)
        if low is not None and self.least is not None and low < self.least:
            return False
        if high is not None and self.most is not None and high > self.most:
            return False
        return True if len(medians) == len(self.figures) and medians else None


def python_targets(results: Results) -> Iterator[Target]:
    """Those of the asyncio face: CPU time, for a job costs nothing else on one thread."""
    for verb, bounds in {"spawn_n": (4, 8), "itermap": (5, 12), "map": (1.5, 4)}.items():
        for family, bound in zip((OURS, REUSING), bounds, strict=True):
            figures = _on_each_python(results, f"{ORIGINAL}.{verb}", f"{family}.{verb}")
            yield Target(f"`{family}.{verb}` cheaper than 0.6.0's", "x", figures, least=bound)
    yield Target(
        f"`{REUSING}.map` against hand-written workers",
        "x",
        _on_each_python(results, f"{REUSING}.map", "workers.shared_iterator"),
        most=1.3,
    )
    for workload, ratios in {"ready": (0.9, 0.5), "nine_of_ten_ready": (0.55, 0.55)}.items():
        for verb, bound in zip(("spawn_n", "map"), ratios, strict=True):
            figures = [
                _pair_on(results, face, f"{EAGER}.{verb}", EAGER_TASK_GROUP, workload)
                for face in _pythons(results)
                if face != "CPython 3.11"
            ]
            text = f"`{EAGER}.{verb}` against a TaskGroup with eager tasks, {workload}"
            yield Target(text, "x", figures, most=bound)
    for family in (OURS, REUSING):
        figures = [_worst_pair(results, family, face) for face in _pythons(results)]
        yield Target(f"each verb of `{family}` cheaper than each peer", "x", figures, least=1)
    for family in (OURS, REUSING):
        for verb, least in {"spawn_n": 4, "itermap": 10}.items():
            figure = _pair(results, f"{ORIGINAL}.{verb}", f"{family}.{verb}", "waiting", memory)
            text = f"memory of a job waiting in `{family}.{verb}` smaller than 0.6.0's"
            yield Target(text, "x", [figure], least=least)
    for family, most in ((OURS, 2.5), (REUSING, 1.8)):
        figures = [
            _single(results, f"{family}.{verb}", "load_test", over_ideal)
            for verb in PYTHON_VERBS
            if verb != "map_n"
        ]
        yield Target(f"load test of `{family}` over the ideal time", "%", figures, most=most)
    for family in (OURS, REUSING):
        figure = _pair(results, f"{ORIGINAL}.spawn_n", f"{family}.spawn_n", "cancel", wall)
        yield Target(f"`{family}` quicker to cancel than 0.6.0", "x", [figure], least=10)
    for family in (OURS, REUSING):
        verbs = [f"{family}.{verb}" for verb in PYTHON_VERBS]
        for peer in TASK_GROUPS:
            figures = [
                figure
                for workload in ("latency", "latency_yield_once")
                for figure in _jobs_of_sleep(
                    results, verbs, peer, results.newest, "asyncio", workload
                )
            ]
            text = f"jobs of `{family}` that run during a sleep of 1 ms, to those of `{peer}`"
            yield Target(text, "x", figures, most=1)


def rust_targets(results: Results) -> Iterator[Target]:
    """Those of the Tokio face: wall time, for jobs run on several threads."""
    figures = [
        _rust_pair(results, peer, "aiopool.spawn_n", flavor)
        for flavor in ("multi_thread", "current_thread")
        for peer in TASK_PER_JOB
    ]
    yield Target("`aiopool.spawn_n` cheaper than a task for each job", "x", figures, least=4)
    for peer, most in {"buffer_unordered": 1, "futures-buffered": 1.5}.items():
        figures = [
            _rust_pair(results, ours, peer, "current_thread")
            for ours in ("aiopool.map", "aiopool.itermap")
        ]
        yield Target(f"`map` and `itermap` against {peer} on one thread", "x", figures, most=most)
    figures = [
        _rust_pair(results, peer, ours, "multi_thread", "yield_compute")
        for ours in ("aiopool.map", "aiopool.itermap")
        for peer in ("buffer_unordered", "futures-buffered")
    ]
    yield Target("the same quicker with 5 us of CPU in each job, 2 cores", "x", figures, least=1.7)
    figures = [
        Figure(case.flavor, case.spread(memory))
        for case in results.pick(face="Rust", subject="aiopool.spawn_n", workload="waiting")
    ]
    yield Target("a waiting job beyond its own future", "B", figures, most=100)
    figures = [
        _rust_pair(results, ours, "workers", flavor)
        for flavor in ("multi_thread", "current_thread")
        for ours in RUST_VERBS
    ]
    yield Target("against workers over a shared counter", "x", figures, most=4)
    figures = [
        _by_slots(results, ours, flavor)
        for flavor in ("multi_thread", "current_thread")
        for ours in RUST_VERBS
    ]
    yield Target("a job at 100,000 slots against one at 10", "x", figures, most=2)
    for peer in JOIN_SETS:
        figures = [
            figure
            for flavor in ("multi_thread", "current_thread")
            for figure in _jobs_of_sleep(results, RUST_VERBS, peer, "Rust", flavor, "latency")
        ]
        text = f"jobs that run during a sleep of 1 ms, to those of `{peer}`"
        yield Target(text, "x", figures, most=1)


def limit_targets(
    results: Results, package: str, face: str, flavors: Iterable[str]
) -> Iterator[Target]:
    """Those of the group "limits", of one of the faces."""

    def ours(workload: str) -> list[Result]:
        return [
            case
            for flavor in flavors
            for case in results.pick(face=face, flavor=flavor, workload=workload)
            if case.subject.startswith(f"{package}.limits.")
        ]

    def figures(workload: str, value: Callable[[Result], Spread | None]) -> list[Figure]:
        return [Figure(_place(case), value(case)) for case in ours(workload)]

    def without_keys(case: Result) -> Result | None:
        return results.one(
            face=face, flavor=case.flavor, subject=case.subject, workload="waiting_keyless"
        )

    yield Target(
        "starts in any window of a rate of 40",
        "",
        # Never: not the median, but the most of all rounds.
        figures("strictness", lambda case: _most(case.spread(most_starts))),
        most=40,
    )
    limiter, most = LIMITERS[package]
    yield Target(
        f"what a rate adds to a start, to what `{limiter}` adds",
        "x",
        figures(
            "rate",
            lambda case: _ratio(
                case,
                results.one(face=face, flavor=case.flavor, subject=limiter, workload="rate"),
                added,
            ),
        ),
        most=most,
    )
    yield Target(
        "a job with one of 10,000 keys and a limit for each, to one without",
        "x",
        figures("keys", lambda case: case.spread(times)),
        most=1.5,
    )
    yield Target(
        "the same when a million wait: memory beyond that of one without",
        "B",
        figures(
            "waiting_keyed",
            lambda case: case.beyond(other, memory) if (other := without_keys(case)) else None,
        ),
        most=24,
    )
    yield Target(
        # To go through all that wait would take longer.
        "the same: CPU time between two starts",
        "us",
        figures("waiting_keyed", lambda case: _scaled(case.spread(slowest_start), 1e6)),
        most=2_000,
    )
    yield Target(
        "a job below a flood: its start, to the 17th for each higher level",
        "x",
        figures("levels", lambda case: _scaled(case.spread(starts), 1 / (17 * (case.jobs - 1)))),
        most=1,
    )
    yield Target(
        "the same: starts of the highest level, in 17",
        "",
        figures("levels", lambda case: _scaled(case.spread(highest), 17)),
        # What a division may lose.
        least=16 - 1e-9,
    )


#: What the cost of a rate is compared with, and how many times that it may be.
LIMITERS = {OURS: ("aiolimiter.alone", 0.2), "aiopool": ("governor.alone", 1)}


def _place(case: Result) -> str:
    number = f"{case.jobs} levels" if case.workload == "levels" else f"{case.slots:,} slots"
    return f"{case.subject}, {case.flavor}, {number}"


def _most(spread: Spread | None) -> Spread | None:
    return spread and Spread(spread.most, spread.least, spread.most)


def _scaled(spread: Spread | None, factor: float) -> Spread | None:
    return spread and Spread(*(factor * value for value in astuple(spread)))


def _pythons(results: Results) -> list[str]:
    return [f"CPython {version}" for version in results.pythons]


def _on_each_python(results: Results, dearer: str, cheaper: str) -> list[Figure]:
    return [
        Figure(face, _ratio(_yielding(results, dearer, face), _yielding(results, cheaper, face)))
        for face in _pythons(results)
    ]


def _yielding(results: Results, subject: str, face: str) -> Result | None:
    return results.one(face=face, flavor="asyncio", subject=subject, workload="yield_once")


def _worst_pair(results: Results, family: str, face: str) -> Figure:
    pairs = [
        Figure(f"{face}: {ours} and {case.subject}", value)
        for case in results.pick(face=face, flavor="asyncio", workload="yield_once")
        if not case.subject.startswith((OURS, ORIGINAL)) and case.subject not in UNLIMITED_OR_FLOOR
        for ours in (f"{family}.{verb}" for verb in PYTHON_VERBS)
        if (value := _ratio(case, _yielding(results, ours, face)))
    ]
    return _least(pairs) or Figure(face, None)


def _jobs_of_sleep(
    results: Results, verbs: Iterable[str], peer: str, face: str, flavor: str, workload: str
) -> list[Figure]:
    """For each number of slots, the verb beside which a sleep is held up the longest.

    In jobs, because a busy machine adds to the delays, and to some more than to others.
    """

    def case(subject: str, slots: int) -> Result | None:
        wanted = {"face": face, "flavor": flavor, "workload": workload}
        return results.one(subject=subject, slots=slots, **wanted)

    found = []
    for slots in (10, 100, 1_000):
        where = f"{workload}, {flavor}, {slots:,} slots"
        pairs = [
            Figure(f"{where}: {verb}", value)
            for verb in verbs
            if (value := _ratio(case(verb, slots), case(peer, slots), jobs_most))
        ]
        found.append(_greatest(pairs) or Figure(where, None))
    return found


def _greatest(figures: Iterable[Figure]) -> Figure | None:
    def by_median(figure: Figure) -> float:
        return figure.value.median if figure.value else 0

    return max(figures, key=by_median, default=None)


def _least(figures: Iterable[Figure]) -> Figure | None:
    def by_median(figure: Figure) -> float:
        return figure.value.median if figure.value else float("inf")

    return min(figures, key=by_median, default=None)


def _pair(results: Results, dearer: str, cheaper: str, workload: str, measure: Measure) -> Figure:
    face = results.newest
    cases = [
        results.one(face=face, flavor="asyncio", subject=subject, workload=workload)
        for subject in (dearer, cheaper)
    ]
    return Figure(face, _ratio(cases[0], cases[1], measure))


def _pair_on(results: Results, face: str, dearer: str, cheaper: str, workload: str) -> Figure:
    cases = [
        results.one(face=face, flavor="asyncio", subject=subject, workload=workload)
        for subject in (dearer, cheaper)
    ]
    return Figure(face, _ratio(cases[0], cases[1]))


def _single(results: Results, subject: str, workload: str, measure: Measure) -> Figure:
    case = results.one(face=results.newest, flavor="asyncio", subject=subject, workload=workload)
    return Figure(subject.rpartition(".")[2], case.spread(measure) if case else None)


def _rust_pair(
    results: Results, dearer: str, cheaper: str, flavor: str, workload: str = "yield_once"
) -> Figure:
    cases = [
        results.one(face="Rust", flavor=flavor, subject=subject, workload=workload, slots=1_000)
        for subject in (dearer, cheaper)
    ]
    return Figure(f"{dearer} / {cheaper}, {flavor}", _ratio(cases[0], cases[1], wall))


def _by_slots(results: Results, subject: str, flavor: str) -> Figure:
    cases = [
        results.one(face="Rust", flavor=flavor, subject=subject, workload="yield_once", slots=slots)
        for slots in (100_000, 10)
    ]
    return Figure(f"{subject}, {flavor}", _ratio(cases[0], cases[1], wall))


def _ratio(
    dividend: Result | None, divisor: Result | None, measure: Callable[..., float] = cpu
) -> Spread | None:
    return dividend.over(divisor, measure) if dividend and divisor else None
