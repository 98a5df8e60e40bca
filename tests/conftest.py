"""Runs every asynchronous test on every kind of loop, and looks at what it leaves behind."""

from __future__ import annotations

import asyncio
import gc
import inspect
import sys
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
from hypothesis import find, settings
from hypothesis.strategies import none

from asyncio_pool import AioPool
from helpers import SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING, turns
from loops import LOOPS, NewLoop

MODES = ("task_per_job", "reuse_tasks")


EAGER_ON = ((3, 12), (3, 15))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--loops",
        default=",".join(LOOPS),
        help="the kinds of loops to run the tests on (default: %(default)s)",
    )
    parser.addoption(
        "--modes",
        default=",".join(MODES),
        help="the modes of pools to run the tests in (default: %(default)s; there is also eager)",
    )


@pytest.fixture
def runner(new_loop: NewLoop) -> Iterator[asyncio.Runner]:
    """A runner for each kind of loop; every ``async def test_...`` is run by it."""
    with asyncio.Runner(loop_factory=new_loop) as runner:
        yield runner


def pytest_collection_finish() -> None:
    """Takes what is there before the first test out of the many collections that tests make."""
    # At its first use hypothesis looks for who holds its random generator, and warns if it finds
    # nobody. From 3.14 on nobody who is frozen is found.
    find(none(), lambda _: True, settings=settings(database=None))
    gc.collect()
    gc.freeze()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    loops = metafunc.config.getoption("loops").split(",")
    if metafunc.definition.get_closest_marker("plain_tasks"):
        loops = [loop for loop in loops if loop != "narrow"]
    # No fixture, but a parameter: examples of hypothesis have no fixtures of their own.
    if "new_loop" in metafunc.fixturenames:
        metafunc.parametrize("new_loop", [LOOPS[loop] for loop in loops], ids=loops)
    # Programs of their own are in asyncio's debug mode, if they are in asyncio's loop.
    if "program_loop" in metafunc.fixturenames:
        metafunc.parametrize("program_loop", [loop for loop in loops if loop != "asyncio-debug"])
    # A loop that keeps its timers when it is closed by hand tells nobody that it is closed.
    if "closed_loop" in metafunc.fixturenames:
        told = [loop for loop in loops if loop not in ("asyncio-debug", "narrow")]
        metafunc.parametrize("closed_loop", told)

    modes = metafunc.config.getoption("modes").split(",")
    chosen = [mode for mode in modes if metafunc.definition.get_closest_marker(mode)] or modes
    # On the oldest and the newest version that has eager tasks: `test_eager.py` runs on each.
    if metafunc.definition.get_closest_marker("also_eager") and sys.version_info[:2] in EAGER_ON:
        chosen = [*chosen, "eager"]
    metafunc.parametrize("reuse_tasks", chosen, indirect=True)


@pytest.fixture(autouse=True)
def reuse_tasks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """In which mode a test has the pools that do not ask for one: every test runs in both.

    A test of what a task per job promises says so with ``task_per_job``, and why; one of what it is
    to reuse tasks says so with ``reuse_tasks``. One that holds in an eager pool too, and may fail
    there for reasons of its own, says so with ``also_eager``. A task per job is what a pool has by
    itself. A program that a test starts is told by its environment.
    """
    mode: str = request.param
    if mode != "task_per_job":
        monkeypatch.setitem(AioPool.__init__.__kwdefaults__, mode, True)
    reuses = mode == "reuse_tasks"
    monkeypatch.setenv("REUSE_TASKS", "yes" if reuses else "")
    return reuses


@pytest.fixture
def loop_errors() -> list[dict[str, Any]]:
    """What the loop's exception handler was called with.

    A test fails if anything is in it at the end: one that expects an entry takes it out.
    """
    return []


@pytest.hookimpl(tryfirst=True)
def pytest_pycollect_makeitem(collector: Any, name: str, obj: object) -> None:
    if collector.istestfunction(obj, name) and inspect.iscoroutinefunction(obj):
        pytest.mark.usefixtures("runner", "loop_errors")(obj)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    given = pyfuncitem.funcargs
    arguments = {name: given[name] for name in inspect.signature(pyfuncitem.obj).parameters}
    given["runner"].run(_checked(pyfuncitem.obj(**arguments), given["loop_errors"]))
    return True


async def _checked(test: Awaitable[None], loop_errors: list[dict[str, Any]]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: loop_errors.append(context))
    async with asyncio.timeout(SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING):
        await test
    await turns(3)
    left_over = asyncio.all_tasks() - {asyncio.current_task()}
    assert not left_over, f"the test left tasks behind: {left_over}"
    gc.collect()
    assert not loop_errors, f"the loop's exception handler was called: {loop_errors}"
