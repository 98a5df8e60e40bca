"""What a waiting job costs: the peak memory of a process with a million of them."""

from __future__ import annotations

import pytest

from memory import measured, on_linux


@on_linux
@pytest.mark.parametrize(
    ("most", "hand_in"),
    [
        pytest.param(480, "for _ in range(JOBS): pool.spawn_n(job(0))", id="spawn_n"),
        pytest.param(240, "for _ in range(JOBS): pool.enqueue(job, 0)", id="enqueue"),
        pytest.param(100, "results = await pool.map(job, range(JOBS))", id="map"),
        pytest.param(160, "async for _ in pool.itermap(job, range(JOBS)): pass", id="itermap"),
    ],
)
def test_the_peak_memory_of_a_million_jobs_is_bounded(most: int, hand_in: str) -> None:
    """In bytes a job: its coroutine and its future, or its item and its place among the results."""
    per_job = measured(
        f"""
        async def main():
            pool = AioPool(1_000)
            idle = memory("VmHWM")
            {hand_in}
            await pool.join()
            print((memory("VmHWM") - idle) / JOBS)

        asyncio.run(main())
        """
    )
    assert per_job <= most
