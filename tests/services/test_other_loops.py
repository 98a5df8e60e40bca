"""Loops that are not asyncio's own, each with a program of its own.

Their handles cannot be referred to weakly, or their timers end at 24 days. Qt's loop is not run
by a display, so it is one without any.
"""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

PREAMBLE = """
import asyncio, contextvars, gc, inspect, os, sys, warnings
from asyncio_pool import AioPool

AioPool.__init__.__kwdefaults__["reuse_tasks"] = bool(os.environ["REUSE_TASKS"])

def of_rloop():
    import rloop
    return rloop.new_event_loop()

def of_qasync():
    os.environ.update(QT_API="pyside6", QT_QPA_PLATFORM="offscreen")
    with warnings.catch_warnings():
        # A deprecation of asyncio's policies, from 3.14 on.
        warnings.simplefilter("ignore", DeprecationWarning)
        import qasync
        from PySide6 import QtCore
        global app
        app = QtCore.QCoreApplication([])
        return qasync.QEventLoop(app)

def run(main):
    with asyncio.Runner(loop_factory=globals()["of_" + sys.argv[1]]) as runner:
        return runner.run(main)
"""

every_loop = pytest.mark.parametrize("loop", ["rloop", "qasync"])


def lines_of(program: str, loop: str) -> list[str]:
    """What the program printed; on standard error it may print nothing."""
    # rloop leaves a socket of its own unclosed. qasync asks asyncio what a coroutine function is,
    # which is deprecated from 3.14 on.
    ignored = ["ignore::ResourceWarning", "ignore::DeprecationWarning:qasync"]
    warnings = [option for action in ["error", *ignored] for option in ("-W", action)]
    command = [sys.executable, *warnings, "-c", PREAMBLE + textwrap.dedent(program), loop]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.stderr == ""
    assert ended.returncode == 0
    return ended.stdout.splitlines()


@every_loop
def test_every_verb_works(loop: str) -> None:
    program = """
        async def double(number):
            await asyncio.sleep(0.001)
            return 2 * number

        async def callback(res, err, ctx):
            return res + ctx

        async def main():
            async with AioPool(3) as pool:
                print(await pool.map(double, range(5)))
                print(sorted([result async for result in pool.itermap(double, range(5))]))
                print([await future for future in pool.map_n(double, range(5))])
                print(await pool.exec(double(1), callback, 1), await pool.spawn_n(double(1)))
                print(await (await pool.spawn(double(3))))
                futures = pool.map_n(asyncio.sleep, [60] * 10)
                await asyncio.sleep(0.01)
                print((await pool.cancel(*futures))[0])

        run(main())
    """
    doubled = str([2 * number for number in range(5)])
    assert lines_of(program, loop) == [doubled, doubled, doubled, "3 2", "6", "10"]


@every_loop
def test_what_waits_at_the_end_of_the_loop_is_cancelled_in_silence(loop: str) -> None:
    program = """
        async def main():
            pool = AioPool(2)
            coroutines = [asyncio.sleep(60) for _ in range(6)]
            return coroutines, [pool.spawn_n(coroutine) for coroutine in coroutines]

        coroutines, futures = run(main())
        gc.collect()
        print([future.cancelled() for future in futures])
        print({inspect.getcoroutinestate(coroutine) for coroutine in coroutines})
    """
    assert lines_of(program, loop) == [str([True] * 6), "{'CORO_CLOSED'}"]


@every_loop
def test_many_jobs_make_no_noise(loop: str) -> None:
    program = """
        async def main():
            pool = AioPool(2)
            futures = pool.map_n(asyncio.sleep, [0] * 100)
            await pool.join()
            print(sum(future.done() for future in futures))

        run(main())
    """
    assert lines_of(program, loop) == ["100"]


@every_loop
def test_jobs_do_not_share_context_variables(loop: str) -> None:
    program = """
        variable = contextvars.ContextVar("variable", default="unset")

        async def job():
            seen = variable.get()
            variable.set("set by a job")
            await asyncio.sleep(0)
            return seen

        async def main():
            pool, futures = AioPool(1), []
            for number in range(3):
                variable.set(number)
                futures.append(pool.spawn_n(job()))
            print([await future for future in futures], variable.get())

        run(main())
    """
    assert lines_of(program, loop) == ["[0, 1, 2] 2"]
