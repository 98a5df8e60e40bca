"""Foreign code that the pool runs may itself use the pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Generator, Iterator
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, assert_usable, ready, turns


class User:
    """Uses a pool in every way that does not wait, each time it is asked to."""

    def __init__(self) -> None:
        self.pool = AioPool(2)
        self.futures: list[asyncio.Future[Any]] = []

    def __call__(self, *_: object) -> None:
        pool = self.pool
        self.futures.append(pool.spawn_n(ready(1)))
        self.futures += pool.map_n(ready, [2])
        pool.spawn_n(ready(3)).cancel()
        assert len(pool) >= pool.n_active
        assert pool.is_full is (len(pool) >= pool.size)
        assert pool.loop is asyncio.get_running_loop()
        assert "AioPool" in repr(pool)

    async def assert_unharmed(self) -> None:
        assert self.futures
        await self.pool.join()
        results = [future.result() for future in self.futures]
        assert results == [1, 2] * (len(results) // 2)
        await assert_usable(self.pool)


pytestmark = pytest.mark.also_eager


@pytest.fixture
def use() -> User:
    return User()


class InDel:
    def __init__(self, action: Callable[[], None]) -> None:
        self.action = action

    def __del__(self) -> None:
        self.action()


async def test_an_iterable(use: User) -> None:
    def items() -> Iterator[int]:
        for item in range(5):
            use()
            yield item

    assert await use.pool.map(ready, items()) == [0, 1, 2, 3, 4]
    use.pool.map_n(ready, items())
    assert len([_ async for _ in use.pool.itermap(ready, items())]) == 5
    await use.assert_unharmed()


async def test_fn(use: User) -> None:
    def fn(item: int) -> Coroutine[Any, Any, int]:
        use()
        return ready(item)

    assert await use.pool.map(fn, range(5)) == [0, 1, 2, 3, 4]
    use.pool.map_n(fn, range(5))
    assert len([_ async for _ in use.pool.itermap(fn, range(5))]) == 5
    await use.assert_unharmed()


async def test_a_callback_when_it_is_called(use: User) -> None:
    def callback(res: int) -> Coroutine[Any, Any, int]:
        use()
        return ready(res)

    assert await use.pool.map(ready, range(5), callback) == [0, 1, 2, 3, 4]
    await use.assert_unharmed()


async def test_get_result(use: User) -> None:
    def get_result(future: asyncio.Future[int]) -> int:
        use()
        return future.result()

    assert await use.pool.map(ready, [1, 2], get_result=get_result) == [1, 2]
    results = use.pool.itermap(ready, [1, 2], get_result=get_result)
    assert [result async for result in results] == [1, 2]
    await use.assert_unharmed()


async def test_a_done_callback(use: User) -> None:
    future = use.pool.spawn_n(ready(1))
    future.add_done_callback(use)
    await future
    await turns()
    await use.assert_unharmed()


async def test_an_await_method(use: User) -> None:
    class Job:
        def __await__(self) -> Generator[Any, None, int]:
            use()
            yield from asyncio.sleep(0).__await__()
            return 7

    assert await use.pool.exec(Job()) == 7
    await use.assert_unharmed()


async def test_the_printing_of_an_exception(use: User) -> None:
    class PrintedError(Exception):
        def __str__(self) -> str:
            use()
            return "printed"

    async def job() -> None:
        raise PrintedError

    async def callback(res: object, err: Any) -> bool:
        return "printed" in err[1]

    assert await use.pool.exec(job(), callback) is True
    await use.assert_unharmed()


async def test_the_destructor_of_a_result(use: User) -> None:
    async def job() -> object:
        return InDel(use)

    await use.pool.exec(job())
    use.pool.spawn_n(job())
    await use.pool.join()
    await use.assert_unharmed()


async def test_the_destructor_of_what_a_cancelled_waiting_job_held(use: User) -> None:
    async def job(held: object) -> None:
        await gate.job()

    gate = Gate()
    use.pool.map_n(lambda _: job(InDel(use)), range(5))
    await turns()
    cancelled, _ = await use.pool.cancel()
    assert cancelled == 5
    await use.assert_unharmed()


async def test_the_destructor_of_what_a_waiting_job_held_whose_future_is_cancelled(
    use: User,
) -> None:
    async def job(held: object) -> None:
        await gate.job()

    gate = Gate()
    futures = use.pool.map_n(lambda _: job(InDel(use)), range(5))
    await turns()
    for future in futures[2:]:
        future.cancel()
    gate.open()
    await use.pool.join()
    await use.assert_unharmed()


async def test_a_task_factory(use: User) -> None:
    def factory(loop: asyncio.AbstractEventLoop, coro: Any, **kwargs: Any) -> asyncio.Task[Any]:
        if len(use.futures) < 10:
            use()
        return asyncio.Task(coro, loop=loop, **kwargs)

    loop = asyncio.get_running_loop()
    loop.set_task_factory(factory)
    assert await use.pool.map(ready, range(5)) == [0, 1, 2, 3, 4]
    await use.pool.join()
    loop.set_task_factory(None)
    await use.assert_unharmed()


async def test_cleaning_up_in_a_job_that_is_cancelled(use: User) -> None:
    async def job() -> None:
        try:
            await gate.job()
        finally:
            use()

    gate = Gate()
    use.pool.map_n(lambda _: job(), range(5))
    await turns()
    await use.pool.cancel()
    await use.assert_unharmed()


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
