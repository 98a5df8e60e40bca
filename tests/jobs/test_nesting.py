"""Jobs that wait for other jobs of their own pool."""

from __future__ import annotations

import asyncio
import sys
import warnings
from typing import Any

import pytest

from aiopool import AioPool, Event, JobTimeout, Rate, iterwait
from helpers import Gate, assert_usable, ready, turns, until
from trees import run_trees
from virtual_time import now, virtually


async def by_exec(pool: AioPool, make: Any) -> list[Any]:
    return [await pool.exec(make(n)) for n in range(2)]


async def by_spawn(pool: AioPool, make: Any) -> list[Any]:
    futures = [await pool.spawn(make(n)) for n in range(2)]
    return [await pool.outside(future) for future in futures]


async def by_map(pool: AioPool, make: Any) -> list[Any]:
    return await pool.map(make, range(2))


async def by_itermap(pool: AioPool, make: Any) -> list[Any]:
    return [result async for result in pool.itermap(make, range(2))]


async def by_iterwait(pool: AioPool, make: Any) -> list[Any]:
    return [result async for result in iterwait(pool.map_n(make, range(2)))]


async def by_iterwait_of_each(pool: AioPool, make: Any) -> list[Any]:
    futures = [asyncio.ensure_future(asyncio.sleep(0)), *pool.map_n(make, range(2))]
    first = asyncio.FIRST_COMPLETED
    return [result async for result in iterwait(futures, yield_when=first) if result is not None]


async def by_options(pool: AioPool, make: Any) -> list[Any]:
    options = pool.options(key=lambda n: n, weight=lambda n: n + 1, name="child")
    return await options.map(make, range(2))


WAYS = [by_exec, by_spawn, by_map, by_itermap, by_options]


@pytest.mark.parametrize("size", [1, 2, 3])
@pytest.mark.parametrize("way", [*WAYS, by_iterwait, by_iterwait_of_each])
async def test_jobs_may_wait_for_jobs_of_their_pool_at_any_depth(way: Any, size: int) -> None:
    async def job(depth: int) -> int:
        await asyncio.sleep(0)
        assert pool.n_active <= size
        if not depth:
            return 1
        results = await way(pool, lambda _: job(depth - 1))
        assert pool.n_active <= size
        return sum(results)

    pool = AioPool(size)
    assert await asyncio.gather(*pool.map_n(lambda _: job(4), range(3))) == [16] * 3
    assert (await pool.join(), pool.stats().outside) == (True, 0)
    await assert_usable(pool)


@pytest.mark.parametrize("way", [*WAYS, by_iterwait])
async def test_callbacks_may_wait_for_jobs_of_their_pool(way: Any) -> None:
    async def callback(depth: int) -> int:
        if not depth:
            return 1
        return sum(await way(pool, lambda _: child(depth - 1)))

    async def child(depth: int) -> int:
        return await pool.exec(ready(depth), callback)

    pool = AioPool(1)
    assert await child(3) == 8
    await assert_usable(pool)


async def test_what_a_job_waits_for_comes_before_others_and_so_does_the_job() -> None:
    async def parent() -> None:
        assert await pool.exec(child("executed")) == "executed"
        seen.append("parent")
        await pool.map(child, ["first item", "second item"])
        seen.append("parent")
        async for result in pool.itermap(child, ["one", "two"]):
            seen.append(result)
        pool.spawn_n(child("queued"))
        future = await pool.spawn(child("spawned"))
        seen.append("parent")
        assert await pool.outside(future) == "spawned"

    async def child(name: str) -> str:
        seen.append(name)
        return name

    pool, seen = AioPool(1), list[str]()
    futures = [pool.spawn_n(parent()), *pool.map_n(child, "abc")]
    await asyncio.gather(*futures)
    await pool.join()
    # Another job may have the slot of a child until the parent has seen its end.
    family = [name for name in seen if len(name) > 1]
    assert family == [
        *("executed", "parent", "first item", "second item", "parent"),
        *("one", "two", "one", "two"),
        *("spawned", "parent", "queued"),
    ]
    assert seen.index("first item") + 1 == seen.index("second item")
    assert seen.index("one") + 1 == seen.index("two")
    assert seen.index("queued") > seen.index("c")


async def test_few_parents_are_open_however_many_roots_there_are() -> None:
    async def job(depth: int) -> None:
        nonlocal opened, most
        opened += depth > 0
        most = max(most, opened)
        for _ in range(2 if depth else 0):
            await pool.exec(job(depth - 1))
        opened -= depth > 0

    size, depth, opened, most = 4, 3, 0, 0
    # In debug mode a turn of the loop takes fifty times as long.
    roots = 200 if asyncio.get_running_loop().get_debug() else 4_000
    pool = AioPool(size)
    await pool.map(lambda _: job(depth), range(roots))
    assert 1 < most <= 5 * size * depth
    assert opened == 0


async def by_spawn_alone(pool: AioPool, make: Any) -> list[Any]:
    return [await pool.spawn(make(n)) for n in range(2)]


@pytest.mark.parametrize("way", [by_exec, by_spawn_alone, by_map, by_itermap, by_options])
def test_the_way_back_from_a_nested_call_pays_no_rate_and_is_before_others(way: Any) -> None:
    async def main() -> None:
        async def parent() -> tuple[float, int]:
            await way(pool, ready)
            return now(), len(begun)

        async def other() -> None:
            begun.append("other")

        # The parent and two children may start at once.
        pool, begun = AioPool(1, rate=Rate(3, per=10.0)), list[str]()
        assert await pool.exec(parent()) == (0, 0)
        pool.rate = None
        future = pool.spawn_n(parent())
        pool.map_n(lambda _: other(), range(10))
        # One of them may have the slot of each child until the parent has seen its end.
        assert (await future)[1] <= 2
        await pool.join()

    virtually(main)


async def test_a_nested_call_is_told_as_going_outside_and_coming_back() -> None:
    async def parent() -> None:
        await pool.exec(ready(1))

    events: list[Event] = []
    pool = AioPool(1, observer=events.append)
    await pool.exec(parent())
    told = [event.kind for event in events]
    assert told == [
        *("queued", "started"),
        *("queued", "outside", "started", "finished"),
        *("back", "finished"),
    ]
    assert pool.stats().started == 2


@pytest.mark.parametrize("way", [by_exec, by_map, by_options])
async def test_a_cancelled_parent_ends_after_its_children_and_has_its_slot_again(way: Any) -> None:
    async def parent() -> None:
        try:
            await way(pool, child)
        finally:
            # The other job that waits must not have the slot that this one is raised in.
            ended.append(f"parent, {pool.n_active} active")
            await turns()

    async def child(_: object) -> None:
        begun.append("child")
        try:
            await asyncio.sleep(60)
        finally:
            await turns(3)
            ended.append("child")

    pool, begun, ended = AioPool(1), list[str](), list[str]()
    future = pool.spawn_n(parent())
    other = pool.spawn_n(ready("other"))
    await until(lambda: begun)
    assert pool.stats().outside == 1
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    assert ended == ["child", "parent, 1 active"]
    assert await other == "other"
    await assert_usable(pool)


async def test_a_parent_that_is_cancelled_on_its_way_back_from_spawn_leaves_no_child() -> None:
    async def parent() -> None:
        await pool.spawn(child())

    async def child() -> None:
        begun.append("child")
        try:
            await asyncio.sleep(60)
        finally:
            await pool.exec(turns(3))
            ended.append("child")

    # The child has the only slot, so the parent has not come back when it is cancelled.
    pool, begun, ended = AioPool(1), list[str](), list[str]()
    future = pool.spawn_n(parent())
    await until(lambda: begun)
    await turns(3)
    assert not future.done()
    async with asyncio.timeout(5):
        await pool.cancel(future)
    assert (future.cancelled(), ended, len(pool)) == (True, ["child"], 0)
    await assert_usable(pool)


def test_the_time_of_a_parent_stands_still_while_it_waits() -> None:
    async def main() -> None:
        async def parent() -> str:
            await asyncio.sleep(1)
            await pool.exec(asyncio.sleep(10))
            await asyncio.sleep(0.5)
            return "in time"

        async def late() -> None:
            await pool.exec(asyncio.sleep(10))
            await asyncio.sleep(3)

        pool = AioPool(1)
        assert await pool.options(timeout=2).exec(parent()) == "in time"
        assert now() == 11.5
        with pytest.raises(JobTimeout):
            await pool.options(timeout=2).exec(late())
        assert now() == 23.5

    virtually(main)


async def test_what_a_child_raises_its_parent_catches_in_its_own_slot() -> None:
    async def parent() -> str:
        with pytest.raises(KeyError):
            await pool.exec(child())
        assert pool.n_active == 1
        results = await pool.map(lambda _: child(), [1])
        assert [type(result) for result in results] == [KeyError]
        return "caught"

    async def child() -> None:
        raise KeyError("child")

    pool = AioPool(1)
    assert await pool.exec(parent()) == "caught"


async def test_a_job_may_cancel_its_children() -> None:
    async def parent() -> list[bool]:
        children = [await pool.spawn(gate.job(n)) for n in range(2)]
        await until(lambda: gate.active)
        stopped, _ = await pool.cancel(*children)
        assert (stopped, pool.n_active) == (2, 1)
        return [child.cancelled() for child in children]

    pool, gate = AioPool(3), Gate()
    assert await pool.exec(parent()) == [True, True]
    await assert_usable(pool)


@pytest.mark.parametrize("calls", [by_exec, by_map, by_itermap])
async def test_cancel_of_all_in_a_job_leaves_those_who_wait_for_it(calls: Any) -> None:
    async def grandparent() -> list[Any]:
        return await calls(pool, lambda _: parent())

    async def parent() -> int:
        return await pool.exec(canceller())

    async def canceller() -> int:
        stopped, results = await pool.cancel()
        assert len(results) == stopped
        return stopped

    pool, gate = AioPool(3), Gate()
    others = pool.map_n(gate.job, range(2))
    await until(lambda: gate.active)
    results = await pool.exec(grandparent())
    assert all(other.cancelled() for other in others)
    # A second child of the grandparent was stopped by the first, or has found nothing to stop.
    counts = [result for result in results if isinstance(result, int)]
    assert counts[0] >= 2
    await pool.join()
    await assert_usable(pool)


async def in_gather(call: Any) -> None:
    await asyncio.gather(call)


async def in_group(call: Any) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(call)


async def in_task(call: Any) -> None:
    await asyncio.create_task(call)


async def in_shield(call: Any) -> None:
    await asyncio.shield(call)


async def in_other_pool(call: Any) -> None:
    await AioPool(1).exec(call)


@pytest.mark.parametrize("wait", [in_gather, in_group, in_task, in_shield, in_other_pool])
@pytest.mark.parametrize("names_it", [False, True])
async def test_cancel_in_a_job_does_not_wait_for_one_that_waits_for_it_through_a_task(
    wait: Any, names_it: bool
) -> None:
    async def parent() -> str:
        await wait(pool.exec(child()))
        return "went on"

    async def child() -> int:
        return (await pool.cancel(*[future] * names_it))[0]

    pool = AioPool(2)
    future = pool.spawn_n(parent())
    async with asyncio.timeout(5):
        await pool.join()
    # It is left alone, unless it is named.
    assert future.cancelled() if names_it else future.result() == "went on"
    await assert_usable(pool)


async def test_cancel_in_a_job_stops_one_whose_wait_for_it_is_over() -> None:
    async def parent() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                _ = [result async for result in pool.itermap(child, range(2))]
        began.append("parent")
        await asyncio.sleep(60)

    async def child(n: int) -> int:
        if n:
            await until(lambda: began)
            await pool.cancel()
        return n

    pool, began = AioPool(3), list[str]()
    future = pool.spawn_n(parent())
    async with asyncio.timeout(5):
        await pool.join()
    assert future.cancelled()


async def test_jobs_that_cancel_each_other_do_not_wait_for_each_other() -> None:
    async def one() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            await pool.cancel(futures[1])

    async def other() -> None:
        await turns()
        await pool.cancel(futures[0])

    pool = AioPool(2)
    futures = [pool.spawn_n(one()), pool.spawn_n(other())]
    async with asyncio.timeout(5):
        await pool.join()
    assert futures[0].cancelled()
    await assert_usable(pool)


async def test_a_job_cannot_cancel_itself() -> None:
    async def job() -> None:
        await turns()
        await pool.cancel(other, own)

    pool = AioPool(2)
    own, other = pool.spawn_n(job()), pool.spawn_n(turns(10))
    with pytest.raises(RuntimeError, match="cannot cancel itself"):
        await own
    await other  # nothing was stopped
    await assert_usable(pool)


async def test_what_a_job_hands_in_without_waiting_stands_at_the_back() -> None:
    async def parent() -> None:
        pool.spawn_n(child("spawn_n"))
        pool.map_n(child, ["map_n"])

    async def child(name: str) -> None:
        seen.append(name)

    pool, seen = AioPool(1), list[str]()
    pool.spawn_n(parent())
    pool.spawn_n(child("before"))
    await pool.join()
    assert seen == ["before", "spawn_n", "map_n"]


async def test_jobs_of_two_pools_may_wait_for_each_other() -> None:
    async def in_first(depth: int) -> int:
        return await second.exec(in_second(depth - 1)) + 1 if depth else 1

    async def in_second(depth: int) -> int:
        return await first.exec(in_first(depth - 1)) + 1 if depth else 1

    first, second = AioPool(3), AioPool(3)
    assert await first.exec(in_first(4)) == 5
    # They are let outside, one after another, where there are too few slots.
    first.size = second.size = 1
    with pytest.warns(RuntimeWarning, match=r"in_(first|second)' holds a slot and waits"):
        assert await first.exec(in_first(4)) == 5
    assert (first.stats().outside, second.stats().outside) == (0, 0)


async def by_future(pool: AioPool) -> None:
    await pool.spawn_n(ready(1))


async def by_gather(pool: AioPool) -> None:
    await asyncio.gather(*pool.map_n(ready, range(3)))


async def by_wait(pool: AioPool) -> None:
    await asyncio.wait(pool.map_n(ready, range(3)))


async def by_task(pool: AioPool) -> None:
    await asyncio.create_task(pool.exec(ready(1)))


async def by_group(pool: AioPool) -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(pool.exec(ready(1)))
        group.create_task(pool.map(ready, range(3)))


async def by_other_pool(pool: AioPool) -> None:
    await AioPool(1).exec(pool.exec(ready(1)))


async def by_map_of_other_pool(pool: AioPool) -> None:
    # The other pool has a slot left, so nobody waits there.
    await AioPool(2).map(lambda _: pool.exec(ready(1)), [1])


async def by_itermap_of_other_pool(pool: AioPool) -> None:
    async for _ in AioPool(2).itermap(lambda _: pool.exec(ready(1)), [1]):
        pass


async def by_itermap_in_a_task(pool: AioPool) -> None:
    async def iterates() -> None:
        async for _ in pool.itermap(ready, range(3)):
            pass

    await asyncio.create_task(iterates())


async def by_iterwait_in_a_task(pool: AioPool) -> None:
    async def iterates() -> None:
        async for _ in iterwait(pool.map_n(ready, range(3))):
            pass

    await asyncio.create_task(iterates())


async def by_iterwait_of_other_pool(pool: AioPool) -> None:
    async for _ in iterwait(AioPool(1).map_n(lambda _: pool.exec(ready(1)), [1])):
        pass


async def by_shield(pool: AioPool) -> None:
    await asyncio.shield(pool.enqueue(ready, 1))


async def by_shield_of_a_verb(pool: AioPool) -> None:
    await asyncio.shield(pool.exec(ready(1)))


async def by_gather_of_shields(pool: AioPool) -> None:
    await asyncio.gather(*map(asyncio.shield, pool.map_n(ready, range(3))))


async def by_submit(pool: AioPool) -> None:
    await asyncio.wrap_future(pool.submit(ready, 1))


async def by_as_completed(pool: AioPool) -> None:
    for settled in asyncio.as_completed(pool.map_n(ready, range(3))):
        await settled


async def by_as_completed_of_calls(pool: AioPool) -> None:
    async def first_of(settled: Any) -> Any:
        return await settled

    for settled in asyncio.as_completed([pool.enqueue(ready, n) for n in range(3)]):
        await first_of(settled)


async def by_as_completed_in_async_for(pool: AioPool) -> None:
    settled: Any = asyncio.as_completed(pool.map_n(ready, range(3)))
    async for future in settled:
        assert future.done()


async def by_as_completed_in_time(pool: AioPool) -> None:
    for settled in asyncio.as_completed([pool.spawn_n(ready(1))], timeout=60):
        await settled


async def later(pool: AioPool) -> None:
    future = pool.spawn_n(ready(1))
    await asyncio.sleep(0.01)
    await future


UNSEEN = [
    *(by_future, by_gather, by_wait, by_task, by_group, later),
    *(by_iterwait_in_a_task, by_iterwait_of_other_pool),
    *(by_shield, by_shield_of_a_verb, by_gather_of_shields, by_submit),
    *(by_as_completed, by_as_completed_of_calls, by_as_completed_in_time),
    *(by_other_pool, by_map_of_other_pool, by_itermap_of_other_pool, by_itermap_in_a_task),
]


@pytest.mark.parametrize("way", UNSEEN)
def test_a_job_that_waits_in_another_way_is_let_outside_and_named(way: Any) -> None:
    async def main() -> None:
        async def job() -> None:
            await way(pool)
            # It has its slot again, and can wait for its pool once more.
            assert (pool.n_active, pool.stats().outside) == (1, 0)
            await pool.exec(ready(1))

        pool = AioPool(1)
        with pytest.warns(RuntimeWarning, match="job' holds a slot and waits"):
            await pool.exec(job())
        assert now() <= 2
        await pool.join()
        await assert_usable(pool)

    virtually(main)


async def by_one_after_another(pool: AioPool) -> None:
    assert [await future for future in pool.map_n(ready, range(5))] == [*range(5)]


AT_ONCE = [by_future, by_gather, by_task, by_one_after_another]
AT_ONCE += [by_shield, by_shield_of_a_verb, by_gather_of_shields]
AT_ONCE += [by_as_completed, by_as_completed_of_calls]
AT_ONCE += [by_as_completed_in_async_for] * (sys.version_info >= (3, 13))


@pytest.mark.parametrize("way", AT_ONCE)
def test_a_job_that_can_only_wait_for_its_pool_is_let_outside_at_once(way: Any) -> None:
    async def main() -> None:
        pool = AioPool(1)
        with pytest.warns(RuntimeWarning, match="holds a slot and waits"):
            await pool.exec(way(pool))
        assert now() == 0

    virtually(main)


def test_a_tree_of_jobs_that_await_futures_takes_no_time() -> None:
    async def main() -> None:
        async def job(depth: int) -> int:
            if not depth:
                return 1
            children = [pool.enqueue(job, depth - 1) for _ in range(2)]
            return await children[0] + await children[1]

        pool = AioPool(2)
        with pytest.warns(RuntimeWarning, match="holds a slot and waits"):
            assert await pool.exec(job(4)) == 16
        assert now() == 0
        await assert_usable(pool)

    virtually(main)


def test_a_job_that_waits_for_one_on_its_way_back_is_let_outside() -> None:
    async def main() -> None:
        async def parent() -> list[Any]:
            futures = pool.map_n(ready, [1])
            pool.spawn_n(other())
            return [result async for result in iterwait(futures)]

        async def other() -> None:
            await own  # in the slot of the child, until the parent comes back

        pool = AioPool(1)
        own = pool.spawn_n(parent())
        with pytest.warns(RuntimeWarning, match="other' holds a slot and waits"):
            async with asyncio.timeout(60):
                assert await own == [1]
        await pool.join()

    virtually(main)


async def test_by_default_a_line_warns_once_for_each_job_of_another_name() -> None:
    async def job() -> int:
        return await pool.spawn_n(ready(1))

    async def other() -> int:
        return await job()

    pool = AioPool(1)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("default")
        for _ in range(3):
            await pool.exec(job())
            await pool.exec(other())
    names = [job.__qualname__, other.__qualname__]
    assert [name in str(warning.message) for name, warning in zip(names, told, strict=True)] == [
        True,
        True,
    ]
    assert len({(warning.filename, warning.lineno) for warning in told}) == 1
    await assert_usable(pool)


async def test_a_warning_that_is_an_error_is_told_the_loop_and_changes_nothing_else(
    loop_errors: list[dict[str, Any]],
) -> None:
    async def job() -> int:
        return await pool.spawn_n(ready(1))

    pool = AioPool(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert await pool.exec(job()) == 1
    assert isinstance(loop_errors.pop()["exception"], RuntimeWarning)
    await assert_usable(pool)


def test_a_job_of_a_key_that_waits_for_another_of_it_is_let_outside() -> None:
    async def main() -> None:
        async def job() -> int:
            return await of_key.spawn_n(ready(1))

        pool = AioPool(3, per_key=1)
        of_key = pool.options(key="key")
        other = pool.spawn_n(asyncio.sleep(10))
        with pytest.warns(RuntimeWarning, match="job' holds a slot and waits"):
            assert await of_key.exec(job()) == 1
        assert now() < 3
        await other

    virtually(main)


def test_jobs_that_wait_for_what_goes_on_are_left_alone() -> None:
    async def main() -> None:
        async def waits_for(future: asyncio.Future[Any]) -> None:
            await future

        async def works() -> None:
            for _ in range(100):
                await asyncio.sleep(1)

        async def waits_for_all(futures: list[asyncio.Future[Any]]) -> None:
            await asyncio.gather(*futures, *(asyncio.shield(future) for future in futures))

        # Each job of the first pool waits for some of the second that work.
        first, second = AioPool(2), AioPool(2)
        working = [second.spawn_n(works()) for _ in range(2)]
        waiting = [first.spawn_n(waits_for(working[0])), first.spawn_n(waits_for_all(working))]
        queued = first.map_n(ready, range(3))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await asyncio.sleep(50)
            assert (first.n_active, first.stats().outside) == (2, 0)
            await asyncio.gather(*waiting, *queued)

    virtually(main)


def test_a_job_that_waits_for_something_else_keeps_its_slot_whatever_its_variables_are() -> None:
    class Client:
        def __init__(self, pool: AioPool) -> None:
            self._tasks = {pool.spawn_n(ready(1))}

        async def asks(self) -> None:
            fs = fut = next(iter(self._tasks))
            await asyncio.create_task(asyncio.sleep(5))
            assert [fs.done(), fut.done()] == [False, False]

    async def main() -> None:
        async def job() -> None:
            await Client(pool).asks()

        async def callback(result: str) -> str:
            await Client(pool).asks()
            return result

        pool = AioPool(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await pool.exec(job())
            assert await pool.exec(ready("called back"), callback) == "called back"
            await pool.join()

    virtually(main)


def test_a_callback_that_gives_a_future_keeps_its_slot() -> None:
    async def main() -> None:
        pool = AioPool(1)
        called_back = pool.spawn_n(ready(1), lambda _: asyncio.create_task(asyncio.sleep(5)))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            await pool.exec(ready(2))
        assert (called_back.done(), now()) == (True, 5)

    virtually(main)


def test_a_wait_that_may_end_otherwise_is_given_a_second() -> None:
    async def main() -> None:
        async def job(seconds: float) -> float:
            future = pool.spawn_n(ready(1))
            await asyncio.wait([future], timeout=seconds)
            assert future.done() == (seconds > 1)
            return now()

        pool = AioPool(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert await pool.exec(job(0.9)) == 0.9
            await pool.join()
        with pytest.warns(RuntimeWarning, match="job' holds a slot and waits"):
            assert 1.9 < await pool.exec(job(60)) < 4

    virtually(main)


def test_jobs_that_wait_for_each_other_are_noticed_while_others_come_and_go() -> None:
    async def main() -> None:
        async def job() -> int:
            future = pool.options(key="key").spawn_n(ready(1))
            await asyncio.sleep(0.01)
            return await future

        async def calls() -> None:
            while True:
                try:
                    async with asyncio.timeout(0.3):
                        await pool.exec(asyncio.sleep(0.2))
                except TimeoutError:
                    pass

        for size in (1, 2):  # the others give up, or use the other slot
            pool = AioPool(size, per_key=1)
            calling = asyncio.create_task(calls())
            before = now()
            with pytest.warns(RuntimeWarning, match="job' holds a slot and waits"):
                assert await pool.options(key="key", priority=1).exec(job()) == 1
            assert now() < before + 3
            calling.cancel()
            await pool.join()

    virtually(main)


@pytest.mark.also_eager
def test_random_trees_of_jobs_come_to_their_end(reuse_tasks: bool) -> None:
    run_trees(0, 1_000, reuse_tasks=reuse_tasks)
