"""What libraries do inside a job: timeouts, groups of tasks, cancel scopes, retries, progress."""

from __future__ import annotations

import asyncio
import io
from typing import Any

import anyio
import anyio.lowlevel
import pytest
import tenacity
from rich.console import Console
from rich.progress import Progress
from tqdm import tqdm
from tqdm.asyncio import tqdm as tqdm_asyncio

from asyncio_pool import AioPool

JOBS = 200


async def test_a_timeout_ends_its_own_job_only() -> None:
    async def job(number: int) -> int:
        try:
            async with asyncio.timeout(0.01 if number % 2 else None):
                await asyncio.sleep(30 if number % 2 else 0)
        except TimeoutError:
            return -number
        return number

    async with AioPool(10) as pool:
        results = await pool.map(job, range(JOBS))
    assert results == [-number if number % 2 else number for number in range(JOBS)]


async def test_a_task_group_that_fails_ends_its_own_job_only() -> None:
    async def part(number: int) -> None:
        await asyncio.sleep(0)
        if number % 3 == 0:
            raise LookupError(number)
        await asyncio.sleep(0.001)

    async def job(number: int) -> int:
        async with asyncio.TaskGroup() as group:
            for other in range(number, number + 2):
                group.create_task(part(other))
        return number

    async with AioPool(5) as pool:
        results: list[Any] = await pool.map(job, range(JOBS))
    for number, result in enumerate(results):
        if number % 3 == 1:
            assert result == number
        else:
            assert isinstance(result, ExceptionGroup)
            assert [type(error) for error in result.exceptions] == [LookupError]


async def test_scopes_and_groups_of_anyio_end_their_own_jobs_only() -> None:
    async def job(number: int) -> int:
        with anyio.move_on_after(0.01 if number % 2 else 30) as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 30 if number % 2 else 0)
        assert scope.cancelled_caught is bool(number % 2)
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
        return number

    async with AioPool(5) as pool:
        assert await pool.map(job, range(JOBS)) == list(range(JOBS))


async def test_a_cancelled_job_leaves_the_scopes_of_anyio() -> None:
    left: list[int] = []

    async def job(number: int) -> None:
        try:
            with anyio.fail_after(30):
                async with anyio.create_task_group() as group:
                    group.start_soon(anyio.sleep_forever)
        finally:
            left.append(number)

    pool = AioPool(5)
    futures = pool.map_n(job, range(20))
    await asyncio.sleep(0.01)
    stopped, _ = await pool.cancel(*futures)
    assert (stopped, sorted(left)) == (20, [0, 1, 2, 3, 4])
    assert pool.is_empty


async def test_tenacity_tries_again_within_the_slot() -> None:
    attempts: dict[int, int] = {}

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(4),
        wait=tenacity.wait_random(0, 0.002),
        retry=tenacity.retry_if_exception_type(ConnectionError),
        reraise=True,
    )
    async def flaky(number: int) -> int:
        attempts[number] = attempts.get(number, 0) + 1
        assert pool.n_active <= 5
        await asyncio.sleep(0)
        if attempts[number] <= number % 6:
            raise ConnectionError(number)
        return number

    async with AioPool(5) as pool:
        results = await pool.map(flaky, range(JOBS))
    for number, result in enumerate(results):
        if number % 6 < 4:
            assert result == number
        else:
            assert isinstance(result, ConnectionError)
    assert attempts == {number: min(number % 6 + 1, 4) for number in range(JOBS)}


async def test_tenacity_gives_the_slot_back_while_it_backs_off() -> None:
    pool, tries, most = AioPool(1), list[str](), 0

    @tenacity.retry(
        stop=tenacity.stop_after_attempt(3), wait=tenacity.wait_fixed(0.05), sleep=pool.sleep
    )
    async def flaky(name: str) -> str:
        nonlocal most
        assert pool.n_active == 1
        most = max(most, pool.stats().outside)
        tries.append(name)
        if tries.count(name) < 3:
            raise ConnectionError(name)
        return name

    futures = pool.map_n(flaky, "abc")
    assert await asyncio.gather(*futures) == list("abc")
    # One slot, and yet each has its first try before any has its second.
    assert tries == list("abcabcabc")
    assert most == 2
    await pool.join()


async def double(number: int) -> int:
    await asyncio.sleep(0)
    return 2 * number


async def test_tqdm_around_itermap() -> None:
    shown = io.StringIO()
    async with AioPool(5) as pool:
        results = pool.itermap(double, range(JOBS), yield_when=asyncio.FIRST_COMPLETED)
        found = [result async for result in tqdm_asyncio(results, total=JOBS, file=shown)]
        with tqdm(total=JOBS, file=shown) as bar:
            async for _ in pool.itermap(double, range(JOBS)):
                bar.update()
            assert bar.n == JOBS
    assert sorted(found) == [2 * number for number in range(JOBS)]
    assert f"{JOBS}/{JOBS}" in shown.getvalue()


async def test_rich_around_itermap() -> None:
    console = Console(file=io.StringIO(), force_terminal=True)
    with Progress(console=console) as progress:
        bar = progress.add_task("jobs", total=JOBS)
        async with AioPool(5) as pool:
            async for _ in pool.itermap(double, range(JOBS)):
                progress.advance(bar)
        assert progress.finished


@pytest.mark.parametrize("backend_options", [{}, {"use_uvloop": True}])
def test_a_program_that_anyio_runs(backend_options: dict[str, Any]) -> None:
    if backend_options:
        pytest.importorskip("uvloop", reason="uvloop is not to be had on this platform")

    async def main() -> list[Any]:
        async with AioPool(5) as pool:
            with anyio.fail_after(30):
                return await pool.map(double, range(JOBS))

    found = anyio.run(main, backend="asyncio", backend_options=backend_options)
    assert found == [2 * number for number in range(JOBS)]
