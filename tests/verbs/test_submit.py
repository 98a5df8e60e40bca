"""submit: a call that another thread hands in."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import weakref
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

import loops
from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, fails, ready, run, turns, until

T = TypeVar("T")
var = contextvars.ContextVar[str]("var", default="none")


async def in_thread(function: Callable[[], T]) -> T:
    """Not by the executor of the loop: its threads inherit the context of the caller."""
    done = list[T]()
    thread = threading.Thread(target=lambda: done.append(function()))
    thread.start()
    await until(lambda: not thread.is_alive())
    return done[0]


async def settled(*futures: concurrent.futures.Future[Any]) -> None:
    await until(lambda: all(future.done() for future in futures))


async def test_another_thread_gets_what_the_job_gives() -> None:
    async def job(number: int, *rest: int) -> tuple[int, threading.Thread]:
        await asyncio.sleep(0)
        return number + sum(rest), threading.current_thread()

    async with AioPool(2) as pool:
        submitted = await in_thread(lambda: pool.submit(job, 1, 2).result())
        assert submitted == (3, threading.current_thread())
        assert await in_thread(lambda: pool.submit(ready, 1).result()) == 1
        error = LookupError()
        assert await in_thread(lambda: pool.submit(fails, error).exception()) is error
    await assert_usable(pool)


async def test_the_calls_of_a_thread_keep_their_order_and_wake_the_loop_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def job(number: int) -> None:
        begun.append(number)

    def burst() -> list[concurrent.futures.Future[None]]:
        return [pool.submit(job, number) for number in range(10_000)]

    begun, woken = list[int](), list[object]()
    loop = asyncio.get_running_loop()
    async with AioPool(3) as pool:
        call_soon_threadsafe = loop.call_soon_threadsafe
        if type(loop).__module__.startswith("asyncio") or hasattr(loop, "__dict__"):

            def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
                woken.append(args)
                return call_soon_threadsafe(*args, **kwargs)

            monkeypatch.setattr(loop, "call_soon_threadsafe", counted)
        submitted = list[concurrent.futures.Future[None]]()
        thread = threading.Thread(target=lambda: submitted.extend(burst()))
        thread.start()
        thread.join()  # the loop stands still meanwhile
        assert len(woken) <= 1
        await settled(submitted[-1])
    assert begun == list(range(10_000))


async def test_submits_of_many_threads_are_all_run() -> None:
    def submits(thread: int) -> None:
        for number in range(100):
            futures.append(pool.submit(add_one, thread * 100 + number))

    futures = list[concurrent.futures.Future[int]]()
    async with AioPool(5) as pool:
        threads = [threading.Thread(target=submits, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        await until(lambda: not any(thread.is_alive() for thread in threads))
    await settled(*futures)
    assert sorted(future.result() for future in futures) == list(range(1, 801))


async def test_the_thread_of_the_pool_may_submit_too() -> None:
    async with AioPool(1) as pool:
        future = pool.submit(add_one, 1)
        for read in (future.result, future.exception):
            with pytest.raises(RuntimeError, match="wrap_future"):
                read()
        assert await asyncio.wrap_future(future) == 2
        assert (future.result(), future.exception()) == (2, None)
    await assert_usable(pool)


async def test_another_loop_may_submit() -> None:
    async def other() -> list[int]:
        results = [await asyncio.wrap_future(pool.submit(add_one, 1))]
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.wrap_future(pool.submit(gate.job)), 0.01)
        return results

    gate = Gate()
    async with AioPool(1) as pool:
        assert await in_thread(lambda: asyncio.run(other())) == [2]
        await until(lambda: gate.cancelled)
    await assert_usable(pool)


async def test_the_job_sees_the_variables_of_the_thread() -> None:
    async def job() -> str:
        return var.get()

    def submits() -> str:
        var.set("thread")
        future = pool.submit(job)
        var.set("later")
        return future.result()

    var.set("loop")
    async with AioPool(1) as pool:
        assert await in_thread(submits) == "thread"


async def test_options_hold_for_it() -> None:
    gate = Gate()
    async with AioPool(1) as pool:
        pool.enqueue(gate.job, "first")
        await turns()
        low = pool.submit(gate.job, "low")
        high = pool.options(priority=1, name="high").submit(gate.job, "high")
        gate.open()
        await settled(low, high)
        with pytest.raises(TypeError, match="timeout must be a value here"):
            pool.options(timeout=lambda _: 1).submit(add_one, 1)
        slow = pool.options(timeout=0.001).submit(asyncio.sleep, 60)
        await settled(slow)
        assert isinstance(slow.exception(), TimeoutError)
    assert gate.started == ["first", "high", "low"]


async def test_a_job_that_submits_from_a_thread_hands_on_its_priority() -> None:
    async def job() -> None:
        await asyncio.to_thread(lambda: futures.append(pool.submit(gate.job, "nested")))

    gate, futures = Gate(), list[concurrent.futures.Future[str]]()
    gate.open()
    async with AioPool(1) as pool:
        parent = pool.options(priority=5).enqueue(job)
        await turns()
        pool.options(priority=4).enqueue(gate.job, "other")
        await parent
    assert gate.started == ["nested", "other"]


async def test_an_error_of_its_key_is_that_of_the_future() -> None:
    def limit(key: object) -> int:
        raise LookupError(key)

    async with AioPool(1, per_key=limit) as pool:
        future = pool.options(key="k").submit(add_one, 1)
        await settled(future)
        assert isinstance(future.exception(), LookupError)
    await assert_usable(pool)


async def test_what_cannot_be_called_is_refused_at_once() -> None:
    async with AioPool(1) as pool:
        with pytest.raises(TypeError, match=r"pool.submit takes a function"):
            pool.submit(1)  # type: ignore[arg-type]


# Cancelling.


async def test_cancelling_the_future_stops_the_job_in_every_state() -> None:
    gate = Gate()
    async with AioPool(1) as pool:
        active, waiting = (pool.submit(gate.job, name) for name in ("active", "waiting"))
        await until(lambda: gate.active)
        unread = pool.submit(gate.job, "in the mailbox")
        for future in (unread, waiting, active):
            assert await in_thread(future.cancel)
        done, _ = await in_thread(lambda: concurrent.futures.wait([active, waiting, unread], 60))
        assert done == {active, waiting, unread}
        await until(lambda: pool.is_empty)
        assert gate.started == gate.cancelled == ["active"]
        assert active.cancelled()
    await assert_usable(pool)


async def test_cancel_of_the_pool_cancels_the_futures() -> None:
    gate = Gate()
    async with AioPool(1) as pool:
        futures = [pool.submit(gate.job, name) for name in range(2)]
        await until(lambda: gate.active)
        futures.append(pool.submit(gate.job, 2))
        count, _ = await pool.cancel()
        assert count == 3
        await settled(*futures)
        assert all(future.cancelled() for future in futures)
        done, _ = await in_thread(lambda: concurrent.futures.wait(futures, 60))
        assert len(done) == 3
    await assert_usable(pool)


async def test_a_settled_future_cannot_be_cancelled() -> None:
    async with AioPool(1) as pool:
        future = pool.submit(ready, 1)
        await settled(future)
        assert not future.cancel()
        assert future.result() == 1


async def test_a_job_that_returns_after_its_future_was_cancelled_harms_nobody() -> None:
    async def job() -> int:
        try:
            await gate.job()
        except asyncio.CancelledError:
            return 1
        return 2

    gate = Gate()
    async with AioPool(1) as pool:
        future = pool.submit(job)
        await until(lambda: gate.active)
        assert future.cancel()
        await pool.join()
        assert future.cancelled()
    await assert_usable(pool)


async def test_join_waits_for_what_was_submitted_before() -> None:
    pool = AioPool(1)
    await pool.join()
    future = pool.submit(add_one, 1)
    await pool.join()
    await settled(future)
    async with pool:
        future = pool.submit(add_one, 2)
    await turns()
    assert future.result() == 3


# Loops that do not run.


def test_a_pool_without_a_loop_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="enter it first"):
        AioPool(1).submit(add_one, 1)


def test_what_is_submitted_before_the_loop_runs_waits_for_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    loop = new_loop()
    pool = AioPool(1, loop=loop)
    future = pool.submit(add_one, 1)
    assert not future.done()
    run(loop, settled(future))
    assert future.result() == 2
    loop.close()
    with pytest.raises(RuntimeError, match="is closed"):
        pool.submit(add_one, 1)


def test_when_the_loop_is_closed_before_it_reads_the_mail_the_futures_are_cancelled(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    loop = new_loop()
    pool = AioPool(1, loop=loop)
    futures = [pool.submit(add_one, n) for n in range(3)]
    loop.close()
    gc.collect()
    done, _ = concurrent.futures.wait(futures, 0)
    assert len(done) == 3
    assert all(future.cancelled() for future in futures)


async def forever() -> None:
    await asyncio.get_running_loop().create_future()


@pytest.mark.parametrize("waits_for", ["active", "waiting"])
def test_when_the_loop_is_closed_while_jobs_are_there_the_futures_are_cancelled(
    closed_loop: str, waits_for: str
) -> None:
    async def main() -> None:
        futures.extend(pool.submit(forever) for _ in range(2))
        await turns()

    loop = loops.LOOPS[closed_loop]()
    pool, futures = AioPool(1, loop=loop), list[concurrent.futures.Future[None]]()
    run(loop, main())
    loop.close()
    gc.collect()
    future = futures[waits_for == "waiting"]
    assert future.cancelled()


def test_when_the_loop_ends_before_it_tells_a_result_the_future_has_it(
    new_loop: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def job() -> int:
        loop.stop()
        return 1

    loop = new_loop()
    pool = AioPool(1, loop=loop)
    future = pool.submit(job)
    loop.run_forever()
    if not future.done():  # in the turn that follows it would be
        loop.close()
        gc.collect()
    assert future.result(0) == 1
    loop.close()


PROGRAM = """
import asyncio, concurrent.futures, os, sys, threading, time
from asyncio_pool import AioPool
from loops import LOOPS

AioPool.__init__.__kwdefaults__["reuse_tasks"] = bool(os.environ["REUSE_TASKS"])
futures, refused = [], []

async def job():
    await asyncio.sleep(0.001)

def submits():
    while True:
        try:
            futures.append(pool.submit(job))
            time.sleep(0.001)
        except RuntimeError as error:
            refused.append(error)
            return

async def main():
    async with pool:
        for _ in range(4):
            threading.Thread(target=submits).start()
        await asyncio.sleep(0.05)
        os.kill(os.getpid(), 2)
        await asyncio.sleep(60)

pool = AioPool(10)
try:
    with asyncio.Runner(loop_factory=LOOPS[sys.argv[1]]) as runner:
        async def enter():
            await pool.join()
        runner.run(enter())
        runner.run(main())
except KeyboardInterrupt:
    pass
while threading.active_count() > 1:
    time.sleep(0.001)
done, pending = concurrent.futures.wait(futures, 30)
assert not pending, len(pending)
assert len(refused) == 4 and all("closed" in str(error) for error in refused), refused
"""


def test_no_future_hangs_when_a_program_ends_while_threads_submit(closed_loop: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(PROGRAM), closed_loop],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**__import__("os").environ, "PYTHONPATH": str(Path(loops.__file__).parent)},
    )
    assert (done.stderr, done.returncode) == ("", 0)


def test_nothing_is_left_of_it() -> None:
    class Thing:
        pass

    async def main() -> list[weakref.ref[Any]]:
        async def job(thing: Thing) -> Thing:
            await asyncio.sleep(0)
            return thing

        async def failing(thing: Thing) -> Awaitable[None]:
            raise LookupError(thing)

        left = list[weakref.ref[Any]]()
        async with AioPool(2) as pool:
            for fn in (job, failing):
                thing = Thing()
                future = pool.submit(fn, thing)
                left += [weakref.ref(thing), weakref.ref(future)]
                await settled(future)
                del thing, future
            await turns()
            return left

    gc.collect()
    gc.disable()
    try:
        assert [thing() for thing in asyncio.run(main())] == [None] * 4
    finally:
        gc.enable()
