"""A pool belongs to one loop: which one, and what happens in any other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, add_one, assert_usable, is_closed, ready, run, until


class FirstLoop(asyncio.SelectorEventLoop):
    pass


class SecondLoop(asyncio.SelectorEventLoop):
    pass


@pytest.fixture
def first_loop() -> Iterator[FirstLoop]:
    with asyncio.Runner(loop_factory=FirstLoop) as runner:
        yield runner.get_loop()  # type: ignore[misc]


@pytest.fixture
def second_loop() -> Iterator[SecondLoop]:
    with asyncio.Runner(loop_factory=SecondLoop) as runner:
        yield runner.get_loop()  # type: ignore[misc]


@pytest.fixture
def other_thread() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1, thread_name_prefix="other-thread") as executor:
        yield executor


# Each way to use a pool; the coroutine is what it hands in, if anything.


async def use_spawn(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    await pool.spawn(coro)


async def use_spawn_n(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    pool.spawn_n(coro)


async def use_exec(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    await pool.exec(coro)


async def use_map(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()
    await pool.map(ready, [1])


async def use_map_n(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()
    pool.map_n(ready, [1])


async def use_itermap(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()
    async for _ in pool.itermap(ready, [1]):
        pass


async def use_join(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()
    await pool.join()


async def use_cancel(pool: AioPool, coro: Coroutine[Any, Any, Any]) -> None:
    coro.close()
    await pool.cancel()


Use = Callable[[AioPool, Coroutine[Any, Any, Any]], Coroutine[Any, Any, None]]
every_use = pytest.mark.parametrize(
    "use",
    [use_spawn, use_spawn_n, use_exec, use_map, use_map_n, use_itermap, use_join, use_cancel],
)


async def pool_with_an_active_job(gate: Gate) -> AioPool:
    pool = AioPool(1)
    pool.spawn_n(gate.job("active"))
    await until(lambda: gate.active)
    return pool


@every_use
def test_use_from_another_loop_is_a_runtime_error_naming_both_and_harms_nobody(
    first_loop: FirstLoop, second_loop: SecondLoop, use: Use
) -> None:
    gate, coro = Gate(), ready(1)
    pool = run(first_loop, pool_with_an_active_job(gate))
    with pytest.raises(RuntimeError) as raised:
        run(second_loop, use(pool, coro))
    assert "FirstLoop" in str(raised.value)
    assert "SecondLoop" in str(raised.value)
    assert is_closed(coro)
    gate.open()
    assert run(first_loop, pool.join()) is True
    assert gate.ended == ["active"]
    run(first_loop, assert_usable(pool))


@every_use
def test_use_from_a_loop_in_another_thread_is_a_runtime_error_naming_both(
    first_loop: FirstLoop, other_thread: ThreadPoolExecutor, use: Use
) -> None:
    def in_other_thread(pool: AioPool) -> None:
        with asyncio.Runner(loop_factory=SecondLoop) as runner:
            run(runner.get_loop(), use(pool, coro))

    async def main() -> None:
        pool = await pool_with_an_active_job(gate)
        with pytest.raises(RuntimeError) as raised:
            await asyncio.wrap_future(other_thread.submit(in_other_thread, pool))
        # Two loops of one class may look alike, so the text has to say that they are two.
        assert "another loop" in str(raised.value)
        assert "FirstLoop" in str(raised.value)
        assert "SecondLoop" in str(raised.value)
        assert is_closed(coro)
        gate.open()
        await pool.join()
        await assert_usable(pool)

    gate, coro = Gate(), ready(1)
    run(first_loop, main())


def test_use_from_a_thread_without_a_loop_is_a_runtime_error_naming_it(
    first_loop: FirstLoop, other_thread: ThreadPoolExecutor
) -> None:
    async def main() -> None:
        pool = await pool_with_an_active_job(gate)
        with pytest.raises(RuntimeError) as raised:
            await asyncio.wrap_future(other_thread.submit(pool.spawn_n, coro))
        assert "other-thread" in str(raised.value)
        assert "MainThread" in str(raised.value) or "FirstLoop" in str(raised.value)
        assert is_closed(coro)
        with pytest.raises(RuntimeError):
            await asyncio.wrap_future(other_thread.submit(pool.map_n, ready, [1]))
        gate.open()
        await pool.join()
        await assert_usable(pool)

    gate, coro = Gate(), ready(1)
    run(first_loop, main())


@every_use
def test_use_after_the_loop_was_closed_is_a_runtime_error_naming_both(
    second_loop: SecondLoop, use: Use
) -> None:
    async def use_it() -> AioPool:
        pool = AioPool(1)
        assert await pool.exec(add_one(1)) == 2
        await pool.join()
        return pool

    coro = ready(1)
    with asyncio.Runner(loop_factory=FirstLoop) as runner:
        pool = runner.run(use_it())
    with pytest.raises(RuntimeError) as raised:
        run(second_loop, use(pool, coro))
    assert "FirstLoop" in str(raised.value)
    assert "SecondLoop" in str(raised.value)
    assert is_closed(coro)


def test_use_without_any_loop_is_a_runtime_error() -> None:
    pool, coro = AioPool(1), ready(1)
    with pytest.raises(RuntimeError):
        pool.spawn_n(coro)
    assert is_closed(coro)
    with pytest.raises(RuntimeError):
        pool.map_n(ready, [1])
    asyncio.run(assert_usable(pool))


def test_use_of_a_loop_that_was_given_and_closed_is_a_runtime_error() -> None:
    loop = FirstLoop()
    pool, coro = AioPool(1, loop=loop), ready(1)
    loop.close()
    with pytest.raises(RuntimeError):
        pool.spawn_n(coro)
    assert is_closed(coro)


def test_a_pool_can_be_built_outside_a_loop(first_loop: FirstLoop) -> None:
    pool = AioPool(2)
    assert pool.loop is None
    assert run(first_loop, pool.map(add_one, range(5))) == [1, 2, 3, 4, 5]
    assert pool.loop is first_loop
    run(first_loop, assert_usable(pool))


def test_a_pool_that_was_only_built_in_one_loop_can_be_used_in_another(
    first_loop: FirstLoop, second_loop: SecondLoop
) -> None:
    async def build() -> AioPool:
        return AioPool(2)

    pool = run(first_loop, build())
    assert run(second_loop, pool.map(add_one, range(5))) == [1, 2, 3, 4, 5]
    assert pool.loop is second_loop


def test_reading_loop_inside_a_loop_binds_the_pool_to_it(
    first_loop: FirstLoop, second_loop: SecondLoop
) -> None:
    async def read(pool: AioPool) -> object:
        return pool.loop

    pool = AioPool(1)
    assert run(first_loop, read(pool)) is first_loop
    assert pool.loop is first_loop
    with pytest.raises(RuntimeError):
        run(second_loop, pool.exec(ready(1)))
    run(first_loop, assert_usable(pool))


def test_entering_the_block_binds_the_pool_to_the_loop(
    first_loop: FirstLoop, other_thread: ThreadPoolExecutor
) -> None:
    async def main() -> None:
        async with AioPool(1) as pool:
            with pytest.raises(RuntimeError) as raised:
                await asyncio.wrap_future(other_thread.submit(pool.spawn_n, coro))
            assert "run_coroutine_threadsafe" in str(raised.value)
            await assert_usable(pool)

    coro = ready(1)
    run(first_loop, main())
    assert is_closed(coro)


def test_a_block_in_another_loop_is_refused_when_it_begins(
    first_loop: FirstLoop, second_loop: SecondLoop
) -> None:
    async def enter(pool: AioPool) -> None:
        async with pool:
            entered.append(pool)

    pool, entered = AioPool(1), list[AioPool]()
    run(first_loop, assert_usable(pool))
    with pytest.raises(RuntimeError, match="SecondLoop"):
        run(second_loop, enter(pool))
    assert entered == []  # The end of the block would raise the same.
    run(first_loop, assert_usable(pool))


def test_a_pool_binds_to_the_loop_it_is_given(
    first_loop: FirstLoop, second_loop: SecondLoop
) -> None:
    pool, coro = AioPool(2, loop=first_loop), ready(1)
    assert pool.loop is first_loop
    with pytest.raises(RuntimeError) as raised:
        run(second_loop, pool.exec(coro))
    assert "FirstLoop" in str(raised.value)
    assert "SecondLoop" in str(raised.value)
    assert is_closed(coro)
    assert run(first_loop, pool.map(add_one, range(5))) == [1, 2, 3, 4, 5]


def test_jobs_can_be_handed_in_before_the_given_loop_runs(first_loop: FirstLoop) -> None:
    pool, gate = AioPool(2, loop=first_loop), Gate()
    gate.open()
    futures = [pool.spawn_n(gate.job(0)), *pool.map_n(gate.job, range(1, 5))]
    assert gate.started == []
    assert len(pool) == 5
    assert all(future.get_loop() is first_loop for future in futures)
    assert run(first_loop, pool.join()) is True
    assert [future.result() for future in futures] == [0, 1, 2, 3, 4]
    assert gate.highest <= 2


def test_a_pool_outlives_many_runs_of_its_loop(first_loop: FirstLoop) -> None:
    pool = AioPool(2)
    for n in range(3):
        assert run(first_loop, pool.exec(add_one(n))) == n + 1
    run(first_loop, pool.join())
    run(first_loop, assert_usable(pool))


def test_two_pools_in_two_threads_do_not_meet(other_thread: ThreadPoolExecutor) -> None:
    async def main() -> list[int]:
        return await AioPool(2).map(add_one, range(100))

    in_other_thread = other_thread.submit(asyncio.run, main())
    assert asyncio.run(main()) == list(range(1, 101))
    assert in_other_thread.result(timeout=30) == list(range(1, 101))
