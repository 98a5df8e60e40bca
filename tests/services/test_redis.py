"""Pipelines of redis.asyncio, from a pool of connections as large as the pool of jobs."""

from __future__ import annotations

import asyncio

from redis.asyncio import BlockingConnectionPool, ConnectionPool, Redis
from redis.exceptions import MaxConnectionsError

from asyncio_pool import AioPool

SIZE = 10
JOBS = 5_000


async def count(client: Redis, job: int) -> int:
    async with client.pipeline(transaction=True) as pipeline:
        pipeline.incr("jobs")
        pipeline.set(f"job:{job}", job, ex=60)
        pipeline.get(f"job:{job}")
        _, _, value = await pipeline.execute()
    return int(value)


async def test_as_many_connections_do_as_there_are_slots(redis_url: str) -> None:
    # This one refuses the connection too many instead of waiting for one.
    connections = ConnectionPool.from_url(redis_url, max_connections=SIZE)
    async with Redis(connection_pool=connections) as client:
        await client.flushdb()
        async with AioPool(SIZE) as pool:
            values = await pool.map(lambda job: count(client, job), range(JOBS))
        assert values == list(range(JOBS))
        assert int(await client.get("jobs") or 0) == JOBS
    await connections.aclose()


async def test_one_slot_more_than_there_are_connections_is_refused(redis_url: str) -> None:
    connections = ConnectionPool.from_url(redis_url, max_connections=SIZE)
    async with (
        Redis(connection_pool=connections) as client,
        AioPool(2 * SIZE) as pool,
    ):
        values = await pool.map(lambda job: count(client, job), range(JOBS))
    await connections.aclose()
    refused = [value for value in values if isinstance(value, MaxConnectionsError)]
    assert refused
    assert len(refused) + sum(isinstance(value, int) for value in values) == JOBS


async def test_jobs_that_are_cancelled_in_a_blocking_command_give_their_connections_back(
    redis_url: str,
) -> None:
    connections = BlockingConnectionPool.from_url(redis_url, max_connections=SIZE, timeout=5)
    async with Redis(connection_pool=connections) as client:
        await client.flushdb()
        pool = AioPool(SIZE)
        for _ in range(3):
            blocked = pool.map_n(lambda _: client.blpop(["nothing"], timeout=0), range(2 * SIZE))
            await asyncio.sleep(0.02)
            stopped, _results = await pool.cancel(*blocked)
            assert stopped == 2 * SIZE
        assert await pool.map(lambda job: count(client, job), range(JOBS)) == list(range(JOBS))
    await connections.aclose()
