"""A PostgreSQL that admits 17 connections of a user, through a pool of 15."""

from __future__ import annotations

import asyncio
from typing import Any

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import (
    AsyncEngine,
    AsyncSession,
    async_scoped_session,
    async_sessionmaker,
    create_async_engine,
)
from sqlalchemy.pool import NullPool

from asyncio_pool import AioPool

SIZE = 15
JOBS = 1_000
QUERIES = 20  # of each job


async def query_by_asyncpg(url: str, job: int) -> int:
    """A connection of its own, which asks for numbers and adds them."""
    connection = await asyncpg.connect(url)
    try:
        return sum([await connection.fetchval("SELECT $1::int", job) for _ in range(QUERIES)])
    finally:
        await connection.close()


async def query_by_sqlalchemy(engine: AsyncEngine, job: int) -> int:
    async with engine.connect() as connection:
        return sum(
            [
                int(await connection.scalar(text("SELECT CAST(:job AS int)"), {"job": job}) or 0)
                for _ in range(QUERIES)
            ]
        )


def engine_of(url: str) -> AsyncEngine:
    # Without a pool of its own, which would hold the number of connections down by itself.
    return create_async_engine(url.replace("postgresql", "postgresql+asyncpg"), poolclass=NullPool)


async def test_twenty_thousand_queries_of_asyncpg_stay_within_its_connections(
    postgres_url: str,
) -> None:
    async with AioPool(SIZE) as pool:
        results = await pool.map(lambda job: query_by_asyncpg(postgres_url, job), range(JOBS))
    assert results == [job * QUERIES for job in range(JOBS)]


@pytest.mark.task_per_job("it has no pool")
async def test_without_the_pool_there_are_too_many_connections_of_asyncpg(
    postgres_url: str,
) -> None:
    jobs = [query_by_asyncpg(postgres_url, job) for job in range(100)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert any(isinstance(result, asyncpg.TooManyConnectionsError) for result in results)


async def test_twenty_thousand_queries_of_sqlalchemy_stay_within_its_connections(
    postgres_url: str,
) -> None:
    engine = engine_of(postgres_url)
    async with AioPool(SIZE) as pool:
        sums: list[Any] = []
        async for result in pool.itermap(lambda job: query_by_sqlalchemy(engine, job), range(JOBS)):
            sums.append(result)
    await engine.dispose()
    assert sorted(sums) == [job * QUERIES for job in range(JOBS)]


@pytest.mark.task_per_job("it has no pool")
async def test_without_the_pool_there_are_too_many_connections_of_sqlalchemy(
    postgres_url: str,
) -> None:
    engine = engine_of(postgres_url)
    jobs = [query_by_sqlalchemy(engine, job) for job in range(100)]
    results = await asyncio.gather(*jobs, return_exceptions=True)
    await engine.dispose()
    errors = [result.orig for result in results if isinstance(result, DBAPIError)]
    causes = [error.__cause__ for error in errors if error is not None]
    assert any(isinstance(cause, asyncpg.TooManyConnectionsError) for cause in causes)


async def test_jobs_that_are_cancelled_in_a_query_leave_no_connection_behind(
    postgres_url: str,
) -> None:
    async def sleep_in_the_server(_: int) -> None:
        connection = await asyncpg.connect(postgres_url)
        try:
            await connection.execute("SELECT pg_sleep(60)")
        finally:
            await connection.close(timeout=10)

    watcher = await asyncpg.connect(postgres_url)

    async def until(count: int, what: str) -> None:
        """Waits until the server has so many connections of this kind, the watcher's included."""
        query = f"SELECT count(*) FROM pg_stat_activity WHERE usename = 'guest' AND {what}"
        while await watcher.fetchval(query) != count:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0.01)

    pool = AioPool(SIZE)
    for _ in range(4):
        futures = pool.map_n(sleep_in_the_server, range(2 * SIZE))
        await until(SIZE, "query LIKE 'SELECT pg_sleep%'")
        stopped, _results = await pool.cancel(*futures)
        assert stopped == 2 * SIZE
        await until(1, "true")
    await watcher.close()


async def sessions_of_jobs(url: str) -> list[AsyncSession]:
    """The scoped session that each job finds, one after another."""
    engine = engine_of(url)
    scoped = async_scoped_session(async_sessionmaker(engine), scopefunc=asyncio.current_task)
    found: list[AsyncSession] = []

    async def job(number: int) -> None:
        session = scoped()
        found.append(session)
        assert await session.scalar(text("SELECT 1")) == 1
        await session.close()  # but not `scoped.remove()`, as users forget to

    async with AioPool(3) as pool:
        assert await pool.map(job, range(30)) == [None] * 30
    await engine.dispose()
    return found


@pytest.mark.task_per_job("it is that mode that is tested")
async def test_a_task_per_job_gives_each_job_a_scoped_session_of_its_own(
    postgres_url: str,
) -> None:
    sessions = await sessions_of_jobs(postgres_url)
    assert len({id(session) for session in sessions}) == 30


@pytest.mark.reuse_tasks
async def test_reused_tasks_share_their_scoped_sessions_as_is_documented(
    postgres_url: str,
) -> None:
    sessions = await sessions_of_jobs(postgres_url)
    assert len({id(session) for session in sessions}) < 30
