"""What adversaries have found, each kept from coming back."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from asyncio_pool import AioPool, getres, iterwait
from helpers import Gate, assert_usable, fails, ready, turns


@dataclass(frozen=True)
class Frozen(Exception):
    """An exception that refuses attributes, its traceback included."""

    code: int


async def test_an_exception_that_refuses_attributes_settles_its_job() -> None:
    async def callback(res: object) -> None:
        raise Frozen(2)

    pool = AioPool(1)
    assert await pool.map(fails, [Frozen(1)]) == [Frozen(1)]
    assert getres.flat(await settled(pool, pool.spawn_n(ready(1), callback))) == Frozen(2)
    await assert_usable(pool)


async def settled(pool: AioPool, future: asyncio.Future[Any]) -> asyncio.Future[Any]:
    await pool.join()
    return future


async def test_the_destructor_of_an_iterator_may_end_its_map() -> None:
    class Items:
        def __iter__(self) -> Iterator[int]:
            return Once()

    class Once:
        taken = False

        def __iter__(self) -> Once:
            return self

        def __next__(self) -> int:
            if self.taken:
                raise StopIteration
            self.taken = True
            return 1

        def __del__(self) -> None:
            mapping.close()

    pool = AioPool(1)
    mapping = pool.map(ready, Items())
    mapping.send(None)
    await pool.join()
    await assert_usable(pool)


async def test_items_that_settle_at_once_take_a_bounded_share_of_each_turn() -> None:
    def fn(_: object) -> Any:
        called.append(None)
        raise LookupError

    called: list[None] = []
    pool = AioPool(1)
    task = asyncio.ensure_future(pool.map(fn, iter(int, 1)))
    shares = []
    for _ in range(20):
        before = len(called)
        pool.spawn_n(ready(None))
        await asyncio.sleep(0)
        shares.append(len(called) - before)
    assert max(shares) <= 64 < sum(shares)
    task.cancel()
    await asyncio.wait([task])
    await pool.join()


async def test_spawn_suspends_while_the_line_is_paused() -> None:
    pool = AioPool(1_000)
    results = pool.itermap(not_made, range(900))
    task = asyncio.ensure_future(anext(results))
    await asyncio.sleep(0)
    assert len(pool) > 0
    spawning = pool.spawn(ready(1))
    assert asyncio.isfuture(spawning.send(None))
    spawning.close()
    await pool.join()
    await task
    await results.aclose()


def not_made(item: object) -> Any:
    raise LookupError(item)


async def test_an_error_of_fn_has_nothing_to_do_with_the_job_before() -> None:
    async def job() -> None:
        await asyncio.sleep(0)
        raise ValueError

    def fn(item: int) -> Any:
        return job() if item == 0 else not_made(item)

    pool = AioPool(1)
    [_, error] = await pool.map(fn, range(2))
    assert isinstance(error, LookupError)
    assert error.__context__ is None
    await pool.join()


class RefusesItsTraceback(Exception):
    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise LookupError


@pytest.mark.parametrize(
    "error",
    [SyntaxError("message", ("file", 1, "no offset", "text")), RefusesItsTraceback()],
    ids=["a place that is none", "no traceback"],
)
async def test_a_callback_is_called_with_an_error_that_cannot_be_formatted(
    error: Exception,
) -> None:
    async def callback(res: object, err: tuple[BaseException, str]) -> Any:
        return err

    pool = AioPool(1)
    [given, text] = await pool.exec(fails(error), callback)
    assert given is error
    assert text.startswith("Traceback (most recent call last):\n")
    assert "fails" in text
    await pool.join()


async def test_a_task_factory_of_two_parameters_works(runner: asyncio.Runner) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any) -> asyncio.Task[Any]:
        return asyncio.Task(coro, loop=loop)

    loop = asyncio.get_running_loop()
    if "uvloop" in type(loop).__module__:
        return  # It passes `context` to every factory.
    pool = AioPool(1)
    loop.set_task_factory(factory)
    try:
        assert await pool.map(ready, range(3)) == [0, 1, 2]
    finally:
        loop.set_task_factory(None)
    await pool.join()


async def test_a_cancellation_that_comes_between_job_and_callback_reaches_the_callback() -> None:
    async def job() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return 1

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job(), gate.job)
    await asyncio.sleep(0)
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    await assert_usable(pool)


async def test_iterwait_leaves_no_callback_on_futures_it_no_longer_waits_for() -> None:
    class Counting(asyncio.Future[None]):
        callbacks = 0

        def add_done_callback(self, *args: Any, **kwargs: Any) -> None:
            self.callbacks += 1
            super().add_done_callback(*args, **kwargs)

        def remove_done_callback(self, fn: Callable[..., object]) -> int:
            removed = super().remove_done_callback(fn)
            self.callbacks -= removed
            return removed

    future = Counting()
    for _ in range(3):
        results: AsyncIterator[Any] = iterwait([future], flat=False, timeout=0)
        assert await anext(results) == []
        await results.aclose()  # type: ignore[attr-defined]
    assert future.callbacks == 0


async def test_the_close_method_of_what_is_not_a_coroutine_is_not_called() -> None:
    class Client:
        closed = False

        def __await__(self) -> Generator[Any, Any, None]:
            return asyncio.sleep(0).__await__()

        def close(self) -> None:
            self.closed = True

    pool, gate, client = AioPool(1), Gate(), Client()
    pool.spawn_n(gate.job())
    pool.spawn_n(client).cancel()
    assert not client.closed
    gate.open()
    await pool.join()


async def test_a_block_that_awaits_a_cancelled_future_does_not_cancel_its_pool() -> None:
    gate = Gate()
    asyncio.get_running_loop().call_later(0.01, gate.open)
    with pytest.raises(asyncio.CancelledError):
        async with AioPool(1) as pool:
            kept, given_up = pool.map_n(gate.job, range(2))
            given_up.cancel()
            await given_up
    assert kept.result() == 0


async def test_errors_of_items_are_not_reported_beside_the_results_of_their_map() -> None:
    async def job(item: int) -> None:
        try:
            await gate.job()
        except asyncio.CancelledError:
            await turns()
            raise LookupError(item) from None

    pool, gate = AioPool(2), Gate()
    mapping = asyncio.ensure_future(pool.map(job, range(2)))
    await turns()
    cancelling = asyncio.ensure_future(pool.cancel())
    await asyncio.sleep(0)
    cancelling.cancel()
    assert [type(result) for result in await mapping] == [LookupError] * 2
    await asyncio.wait([cancelling])
    gc.collect()
    await pool.join()


async def test_results_that_a_cancelled_map_no_longer_gives_are_not_reported() -> None:
    async def job(item: int) -> None:
        if item == 0:
            raise LookupError
        await gate.job()

    pool, gate = AioPool(1), Gate()
    mapping = asyncio.ensure_future(pool.map(job, range(2), get_result=getres.dont))
    await turns(5)
    mapping.cancel()
    await asyncio.wait([mapping])
    del mapping
    gc.collect()
    await pool.join()
