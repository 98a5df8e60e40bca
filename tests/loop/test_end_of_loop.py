"""The end of the loop while jobs wait, each time in a program of its own.

The programs run with every warning an error, and may print nothing on standard error but what
Python prints for an interrupted program itself.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import loops

PREAMBLE = """
import asyncio, atexit, gc, inspect, os, signal, sys, threading, warnings
from asyncio_pool import AioPool, getres
from loops import LOOPS

# What a shell runs in the background ignores Ctrl-C, and so does what that starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
AioPool.__init__.__kwdefaults__["reuse_tasks"] = bool(os.environ["REUSE_TASKS"])
SLOTS, WAITING = 10, 1_000
started, coroutines, futures, cleaned = [], [], [], []

async def job(number):
    started.append(number)
    try:
        await asyncio.sleep(3600)
    finally:
        cleaned.append(number)

def fill(pool):
    for number in range(SLOTS + WAITING):
        coroutines.append(job(number))
        futures.append(pool.spawn_n(coroutines[-1]))

async def until_full():
    while len(started) < SLOTS:
        await asyncio.sleep(0)

def new_loop():
    loop = LOOPS[sys.argv[1]]()
    loop.slow_callback_duration = 60  # a slow machine is nothing to print about
    return loop

def run(main):
    with asyncio.Runner(loop_factory=new_loop) as runner:
        return runner.run(main)

@atexit.register
def tell():
    gc.collect()
    closed = [inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED for coro in coroutines]
    cancelled = [future.cancelled() for future in futures]
    print(sorted(started) == list(range(len(started))), len(started), sorted(cleaned) == started)
    print(sum(closed), "of", len(closed), "closed")
    print(sum(cancelled), "of", len(cancelled), "cancelled")
"""

TOLD = ["True 10 True", "1010 of 1010 closed", "1010 of 1010 cancelled"]


def run_program(program: str, loop: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-X",
            "dev",
            "-W",
            "error",
            "-c",
            PREAMBLE + textwrap.dedent(program),
            loop,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(loops.__file__).parent)},
    )


def lines_of(program: str, loop: str) -> list[str]:
    """What the program printed, after a look at how it ended."""
    ended = run_program(program, loop)
    assert ended.stderr == ""
    assert ended.returncode == 0
    return ended.stdout.splitlines()


def assert_no_complaint(stderr: str) -> None:
    """Assert that nothing was printed of what a pool would leave behind."""
    for sign in ("never awaited", "never retrieved", "was destroyed", "run_job"):
        assert sign not in stderr


def test_main_may_return_while_jobs_wait(program_loop: str) -> None:
    program = """
        async def main():
            fill(AioPool(SLOTS))
            await until_full()

        run(main())
    """
    assert lines_of(program, program_loop) == TOLD


def test_main_may_return_before_the_first_turn_of_the_loop(program_loop: str) -> None:
    program = """
        async def main():
            fill(AioPool(SLOTS))

        run(main())
    """
    told = lines_of(program, program_loop)
    assert told[1:] == TOLD[1:]


@pytest.mark.parametrize("block", [True, False], ids=["in a block", "beside the pool"])
def test_ctrl_c_prints_its_own_traceback_and_nothing_else(program_loop: str, block: bool) -> None:
    program = f"""
        async def main():
            pool = AioPool(SLOTS)
            fill(pool)
            await until_full()
            threading.Timer(0.1, os.kill, [os.getpid(), signal.SIGINT]).start()
            if {block}:
                async with pool:
                    pass
            await asyncio.sleep(3600)

        run(main())
    """
    ended = run_program(program, program_loop)
    assert ended.returncode == -signal.SIGINT
    assert ended.stderr.startswith("Traceback (most recent call last):\n")
    assert ended.stderr.endswith("\nKeyboardInterrupt\n")
    assert "Exception ignored" not in ended.stderr
    assert_no_complaint(ended.stderr)
    assert ended.stdout.splitlines() == TOLD


def test_a_timeout_around_a_block_cancels_its_jobs(program_loop: str) -> None:
    program = """
        async def block():
            async with AioPool(SLOTS) as pool:
                fill(pool)

        async def main():
            task = asyncio.ensure_future(asyncio.wait_for(block(), 0.2))
            await until_full()
            try:
                await task
            except TimeoutError:
                print("timeout")

        run(main())
    """
    assert lines_of(program, program_loop) == ["timeout", *TOLD]


@pytest.mark.parametrize("given", [True, False], ids=["given loop", "running loop"])
def test_the_loop_may_be_closed_by_hand(closed_loop: str, given: bool) -> None:
    program = f"""
        loop = new_loop()
        pool = AioPool(SLOTS, loop=loop if {given} else None)

        async def main():
            fill(pool)
            await until_full()

        loop.run_until_complete(main())
        loop.close()
        closed_by = [inspect.getcoroutinestate(coro) for coro in coroutines]
        print(set(closed_by), len(pool))
    """
    assert lines_of(program, closed_loop) == ["{'CORO_CLOSED'} 0", *TOLD]


def test_the_program_may_end_with_its_loop_open(program_loop: str) -> None:
    program = """
        warnings.simplefilter("ignore", ResourceWarning)
        loop = new_loop()

        async def main():
            fill(AioPool(SLOTS))
            await until_full()

        loop.run_until_complete(main())
        atexit.unregister(tell)
        del coroutines, futures
    """
    ended = run_program(program, program_loop)
    assert ended.returncode == 0
    # An open loop may itself complain of the way it ends: asyncio of 3.13 does in debug mode.
    assert_no_complaint(ended.stderr)


def test_callers_and_maps_that_wait_end_with_the_loop(program_loop: str) -> None:
    program = """
        async def main():
            pool = AioPool(SLOTS)
            fill(pool)
            await until_full()

            async def read():
                async for _ in pool.itermap(job, range(SLOTS)):
                    pass

            async def spawn():
                await pool.spawn(job(-1))

            callers = spawn(), read(), pool.exec(job(-1)), pool.map(job, range(SLOTS)), pool.join()
            tasks.extend(map(asyncio.ensure_future, callers))
            await asyncio.sleep(0.01)

        tasks = []
        run(main())
        print([task.cancelled() for task in tasks])
    """
    assert lines_of(program, program_loop) == [str([True] * 5), *TOLD]


def test_what_jobs_hand_in_while_they_are_cancelled_at_the_end_never_starts(
    program_loop: str,
) -> None:
    program = """
        async def stubborn(number):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                coroutines.append(job(number))
                futures.append(pool.spawn_n(coroutines[-1]))

        async def main():
            global pool
            pool = AioPool(SLOTS)
            pool.map_n(stubborn, range(SLOTS + WAITING))
            await asyncio.sleep(0.01)

        run(main())
    """
    told = ["True 0 True", "10 of 10 closed", "10 of 10 cancelled"]
    assert lines_of(program, program_loop) == told


@pytest.mark.parametrize("slots", [1, 2, 4, 5])
def test_what_callbacks_hand_in_at_the_end_ends_with_the_loop(closed_loop: str, slots: int) -> None:
    program = f"""
        async def callback(res):
            coroutines.append(asyncio.sleep(3600))
            futures.append(pool.spawn_n(coroutines[-1]))

        async def main():
            global pool
            pool = AioPool({slots})
            for number in range(2):
                pool.spawn_n(job(number), callback)
            await asyncio.sleep(0.01)
            print(len(pool))

        run(main())
        print(len(pool))
    """
    begun = min(slots, 2)
    told = ["2", "0", f"True {begun} True", f"{begun} of {begun} closed"]
    assert lines_of(program, closed_loop) == [*told, f"{begun} of {begun} cancelled"]


def test_a_pool_goes_on_after_all_tasks_of_its_loop_were_cancelled(program_loop: str) -> None:
    program = """
        async def main():
            pool = AioPool(SLOTS)
            fill(pool)
            await until_full()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
            await pool.join()
            print(len(pool), sum(future.cancelled() for future in futures))
            print(await pool.exec(asyncio.sleep(0, "goes on")))

        run(main())
    """
    assert lines_of(program, program_loop) == ["0 1010", "goes on", *TOLD]


def test_no_callback_runs_after_jobs_that_are_closed_with_their_loop(closed_loop: str) -> None:
    program = """
        async def fails():
            try:
                await asyncio.sleep(3600)
            finally:
                raise LookupError

        async def goes_on():
            try:
                await asyncio.sleep(3600)
            finally:
                await asyncio.sleep(0)

        async def callback(res):
            print("called back")
            await asyncio.sleep(0)

        loop = new_loop()

        async def main():
            pool = AioPool(3)
            for coroutine in job(0), fails(), goes_on(), job(1):
                futures.append(pool.spawn_n(coroutine, callback))
            await asyncio.sleep(0.01)

        loop.run_until_complete(main())
        loop.close()
        print([future.done() for future in futures])
        print([repr(future.exception()) for future in futures[1:3]])
        del futures[1:3]
    """
    assert lines_of(program, closed_loop) == [
        str([True] * 4),
        str(["LookupError()", "RuntimeError('coroutine ignored GeneratorExit')"]),
        "True 1 True",
        "0 of 0 closed",
        "2 of 2 cancelled",
    ]


def test_jobs_without_anybody_waiting_end_silently_with_a_loop_closed_by_hand(
    closed_loop: str,
) -> None:
    program = """
        loop = new_loop()

        async def main():
            global pool
            pool = AioPool(SLOTS)
            coroutines.extend(job(number) for number in range(SLOTS))
            futures.extend(map(pool.spawn_n, coroutines))
            await until_full()

        loop.run_until_complete(main())
        loop.close()
        del pool, main
        coroutines.clear()
        futures.clear()
        gc.collect()
        print(sorted(cleaned) == started)
    """
    assert lines_of(program, closed_loop) == [
        "True",
        "True 10 True",
        "0 of 0 closed",
        "0 of 0 cancelled",
    ]


@pytest.mark.parametrize("hands_in", ["a done callback", "two pools", "a finally", "call_soon"])
def test_what_is_handed_in_too_late_to_be_cancelled_is_closed(
    closed_loop: str, hands_in: str
) -> None:
    program = f"""
        def hand_in(pool, job):
            coroutines.append(job)
            futures.append(pool.spawn_n(job))
            return futures[-1]

        async def short():
            await asyncio.sleep(0)

        def by_a_done_callback(_):
            hand_in(one, short()).add_done_callback(by_a_done_callback)

        async def hands_in(here, there):
            try:
                await asyncio.sleep(0)
            finally:
                if not loop.is_closed():
                    hand_in(there, hands_in(there, here))

        def by_call_soon():
            hand_in(one, short())
            loop.call_soon(by_call_soon)

        async def main(turns):
            global one, loop
            one, other, loop = AioPool(1), AioPool(1), asyncio.get_running_loop()
            match {hands_in!r}:
                case "a done callback":
                    by_a_done_callback(None)
                case "two pools":
                    hand_in(one, hands_in(one, other))
                case "a finally":
                    hand_in(one, hands_in(one, one))
                case "call_soon":
                    by_call_soon()
            for _ in range(turns):
                await asyncio.sleep(0)

        for turns in range(8):
            run(main(turns))
            gc.collect()
        print(all(inspect.getcoroutinestate(coro) == inspect.CORO_CLOSED for coro in coroutines))
        print(all(future.done() for future in futures))
    """
    assert lines_of(program, closed_loop)[:2] == ["True", "True"]


def test_main_may_return_while_the_line_is_paused(program_loop: str) -> None:
    program = """
        def fn(item):
            raise LookupError

        async def main():
            pool = AioPool(1)
            results = pool.itermap(fn, range(10_000))
            task = asyncio.ensure_future(anext(results))
            await asyncio.sleep(0)
            fill(pool)

        run(main())
    """
    told = ["True 0 True", *TOLD[1:]]
    assert lines_of(program, program_loop) == told


def test_a_job_whose_task_was_made_by_a_factory_and_never_stepped_settles(
    closed_loop: str,
) -> None:
    program = """
        loop = new_loop()
        loop.set_task_factory(lambda loop, coro, **kwargs: asyncio.Task(coro, loop=loop, **kwargs))
        fill(AioPool(SLOTS, loop=loop))
        loop.close()
    """
    assert lines_of(program, closed_loop) == ["True 0 True", *TOLD[1:]]


def test_items_with_futures_settle_when_the_loop_is_closed_by_hand(closed_loop: str) -> None:
    program = """
        loop = new_loop()

        async def main():
            global results
            results = AioPool(SLOTS).itermap(job, range(SLOTS + 1), get_result=getres.dont)
            task = asyncio.ensure_future(anext(results))
            task._log_destroy_pending = False
            await until_full()

        loop.run_until_complete(main())
        loop.close()
    """
    told = ["True 10 True", "0 of 0 closed", "0 of 0 cancelled"]
    assert lines_of(program, closed_loop) == told


def test_the_loop_ends_though_each_callback_hands_in_the_next_job(program_loop: str) -> None:
    program = """
        async def sleeps():
            await asyncio.sleep(3600)

        async def swallows():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                pass

        async def takes_back():
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                while asyncio.current_task().cancelling():
                    asyncio.current_task().uncancel()

        async def goes_on_in_the_same_turn():
            await awaited
            await asyncio.sleep(3600)

        async def main(poll, waits):
            global awaited
            pool, awaited = AioPool(1), asyncio.get_running_loop().create_future()

            async def again(res):
                try:
                    await asyncio.sleep(3600 * waits)
                except asyncio.CancelledError:
                    pass
                pool.spawn_n(poll(), again)

            pool.spawn_n(poll(), again)
            await asyncio.sleep(0.01)
            awaited.set_result(None)

        async def returns():
            pass

        for poll in sleeps, swallows, takes_back, goes_on_in_the_same_turn, returns:
            run(main(poll, waits=poll is returns))
            print(poll.__name__)
    """
    polls = ["sleeps", "swallows", "takes_back", "goes_on_in_the_same_turn", "returns"]
    assert lines_of(program, program_loop)[:-3] == polls
