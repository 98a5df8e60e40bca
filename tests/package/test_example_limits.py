"""The examples in examples/limits: that they print what they say, and that the limits held."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import selectors
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from aiopool import AioPool, Event

EXAMPLES = Path(__file__).parents[2] / "examples" / "limits"
ROUNDING = 1e-6  # of the times of a loop, which are floats


class PatientLoop(asyncio.SelectorEventLoop):
    """Its time passes only when nothing is to be read: a host in the same loop is never late."""

    def __init__(self) -> None:
        self.now = 0.0
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: PatientLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        # What is on its way between two sockets of this process is there at once, or nearly.
        ready = super().select(min(timeout or 0.0, 0.002))
        if not ready:
            assert timeout is not None, "nothing is left that could happen"
            self._loop.now += max(0.0, timeout)
        return ready


class Watched:
    """An example that has run, with all that its pool has told."""

    def __init__(self, name: str, **other: Any) -> None:
        """`other` are the arguments that its pools get in place of those of the example."""
        self.events: list[tuple[float, Event]] = []
        self.active_over_size = 0
        example = load(name)
        example.AioPool = lambda *args, **kwargs: self._pool(*args, **kwargs | other)  # type: ignore[attr-defined]
        with asyncio.Runner(loop_factory=PatientLoop) as runner:
            self._loop = runner.get_loop()
            self.returned = runner.run(example.main())

    def _pool(self, *args: Any, observer: Any = None, **kwargs: Any) -> AioPool:
        def observe(event: Event) -> None:
            self.events.append((self._loop.time(), event))
            if event.kind == "started":
                self.active_over_size += pool.n_active > pool.size
            if observer is not None:
                observer(event)

        pool = AioPool(*args, observer=observe, **kwargs)
        return pool

    def starts(self, key: object = None) -> list[float]:
        """When jobs have started; those of a key, if one is given."""
        started = [(at, event) for at, event in self.events if event.kind == "started"]
        return [at for at, event in started if key is None or event.key == key]

    def pauses(self) -> list[tuple[float, Event]]:
        return [(at, event) for at, event in self.events if event.kind == "paused"]


def load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def fit_in_bucket(starts: list[float], *, limit: float, burst: int) -> bool:
    """Whether a bucket that gets `limit` starts a second, and holds `burst`, has had them all."""
    return all(
        later - earlier + 1 <= burst + limit * (starts[later] - starts[earlier]) + ROUNDING
        for earlier in range(len(starts))
        for later in range(earlier, len(starts))
    )


@pytest.mark.task_per_job("the examples do not ask for reused tasks")
@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.stem)
def test_an_example_runs_as_a_program(example: Path) -> None:
    command = [sys.executable, "-X", "dev", "-W", "error", example]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stderr
    # On a busy machine the loop, which is in debug mode, also tells of steps that took long.
    assert not re.search("Traceback|Warning|Error|never|destroyed", ended.stderr), ended.stderr
    assert ended.stdout.count("\n") > 1


def test_the_crawler_keeps_to_the_rate_and_to_three_requests_a_host() -> None:
    crawl = Watched("polite_crawler")
    assert fit_in_bucket(crawl.starts(), limit=10, burst=20)
    assert not fit_in_bucket(crawl.starts(), limit=9, burst=20)
    assert not fit_in_bucket(crawl.starts(), limit=10, burst=19)
    assert [host.most_in_flight for host in crawl.returned] == [3, 3, 3]


def test_the_crawler_leaves_a_host_alone_for_the_seconds_of_its_429() -> None:
    crawl = Watched("polite_crawler")
    [(paused_at, pause)] = crawl.pauses()
    meanwhile = Counter(
        event.key
        for at, event in crawl.events
        if event.kind == "started" and paused_at < at < paused_at + 1 - ROUNDING
    )
    assert meanwhile[pause.key] == 0
    assert len(meanwhile) == 2
    assert [host.requests for host in crawl.returned] == [13, 12, 12]


@pytest.mark.parametrize("broken", [{"rate": None}, {"per_key": None}])
def test_what_is_asked_of_the_crawler_finds_a_pool_without_the_limit(
    broken: dict[str, Any],
) -> None:
    crawl = Watched("polite_crawler", **broken)
    held = fit_in_bucket(crawl.starts(), limit=10, burst=20)
    most = max(host.most_in_flight for host in crawl.returned)
    assert not held or most > 3


def test_the_film_has_its_turn_and_all_the_memory(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched("heavy_and_light")
    names = [event.name for _, event in watched.events if event.kind == "started"]
    assert names == [f"picture {n}" for n in range(6)] + ["film"] + [
        f"picture {n}" for n in range(6, 12)
    ]
    assert watched.returned.most_used == 4
    assert "film       starts, 4 of 4 GB are in use\n" in capsys.readouterr().out


def test_urgent_jobs_go_first_and_leave_every_17th_start() -> None:
    letters = Watched("urgent").returned.letters
    assert re.fullmatch(r"rrUr*(U{16}r){4}r*", letters), letters
    assert Counter(letters) == {"r": 20, "U": 65}


def test_the_pool_follows_its_load_up_and_down(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched("grow_and_shrink")
    sizes = [int(size) for size in re.findall(r"of +(\d+) slots", capsys.readouterr().out)]
    changes = [after for before, after in pairwise(sizes) if before != after]
    assert changes == [4, 8, 16, 32, 16, 8, 4, 2, 4, 8, 4, 2]
    assert watched.active_over_size == 0
    assert watched.returned.n_executed == len(watched.starts()) == 220
    assert watched.returned.size == 2


def test_the_dashboard_tells_what_the_events_tell(capsys: pytest.CaptureFixture[str]) -> None:
    watched = Watched("dashboard")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 5
    assert all(re.match(r"[0-6]/8 active, ", line) for line in lines[:-1])  # 2 of 3 tables each
    assert {"keys", "rate"} <= {line.rpartition("held by ")[2] for line in lines[:-1]}
    stats, failed = watched.returned
    kinds = Counter(event.kind for _, event in watched.events)
    outcomes = Counter(event.outcome for _, event in watched.events if event.kind == "finished")
    assert kinds == {"queued": 30, "started": 30, "finished": 30}
    assert (stats.started, stats.succeeded, stats.failed) == (30, 27, 3)
    assert outcomes == {"succeeded": 27, "failed": 3}
    assert sum(failed.values()) == 3
    assert stats.wait_seconds == pytest.approx(
        sum(event.wait or 0.0 for _, event in watched.events if event.kind == "started")
    )
