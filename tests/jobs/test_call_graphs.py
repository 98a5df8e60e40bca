"""What asyncio's own tools tell of jobs: call graphs, and a look into another process."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asyncio_pool import AioPool
from helpers import Gate, turns

pytestmark = pytest.mark.skipif(sys.version_info < (3, 14), reason="call graphs came with 3.14")
task_per_job = pytest.mark.task_per_job("asyncio looks into coroutines, not into those of a worker")

PROGRAM = """
    import asyncio
    from asyncio_pool import AioPool

    asleep = []

    async def look_here(number):
        asleep.append(number)
        await asyncio.sleep(60)

    async def job(number):
        await look_here(number)

    async def main():
        async with AioPool(2, reuse_tasks={reuse_tasks}) as pool:
            for number in range(5):
                pool.spawn_n(job(number))
            while len(asleep) < 2:
                await asyncio.sleep(0)
            print("here", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


@task_per_job
async def test_the_call_graph_of_a_task_shows_what_its_job_awaits() -> None:
    async def job() -> None:
        tasks.append(asyncio.current_task())
        await gate.job()

    tasks: list[Any] = []
    pool, gate = AioPool(1), Gate()
    pool.spawn_n(job())
    await turns()
    assert stack(asyncio.capture_call_graph(tasks[0]))[:3] == ["wait", "job", "job"]
    gate.open()
    await pool.join()


@task_per_job
async def test_the_call_graph_of_a_future_shows_the_jobs_that_await_it() -> None:
    async def job() -> None:
        await future

    pool, future = AioPool(2), asyncio.get_running_loop().create_future()
    pool.map_n(lambda _: job(), range(2))
    await turns()
    graph = asyncio.capture_call_graph(future)
    assert [stack(waiting)[0] for waiting in graph.awaited_by] == ["job", "job"]
    future.set_result(None)
    await pool.join()


def stack(graph: Any) -> list[str]:
    """The names of its coroutines, the innermost first."""
    return [entry.frame.f_code.co_name for entry in graph.call_stack]


@pytest.fixture
def pid(tmp_path: Path, reuse_tasks: bool) -> Iterator[int]:
    """Of a process with two jobs active, and three that wait."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM).format(reuse_tasks=reuse_tasks))
    with subprocess.Popen([sys.executable, path], stdout=subprocess.PIPE, text=True) as program:
        try:
            assert program.stdout is not None
            assert program.stdout.readline() == "here\n"
            yield program.pid
        finally:
            program.kill()


@task_per_job
def test_asyncio_ps_shows_where_active_jobs_are(pid: int) -> None:
    assert asyncio_shows("ps", pid).count("sleep -> look_here -> job") == 2


@task_per_job
def test_asyncio_pstree_shows_where_active_jobs_are(pid: int) -> None:
    functions = [
        line.split()[1] for line in asyncio_shows("pstree", pid).splitlines() if "──  " in line
    ]
    assert functions.count("job") == functions.count("look_here") == 2


@pytest.mark.parametrize("command", ["ps", "pstree"])
def test_asyncio_shows_the_other_tasks_of_a_process_with_a_pool(command: str, pid: int) -> None:
    assert "main" in asyncio_shows(command, pid)


def asyncio_shows(command: str, pid: int) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "asyncio", command, str(pid)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "ermission" in done.stderr:
        pytest.skip("this system lets no process look at another")
    assert done.returncode == 0, done.stderr
    return done.stdout
