"""Differences from asyncio-pool 0.6.0 that belong to no other file."""

from __future__ import annotations

from asyncio_pool import AioPool
from helpers import Gate, turns, until


async def test_the_default_size_is_four() -> None:
    pool, gate = AioPool(), Gate()
    assert pool.size == 4
    pool.map_n(gate.job, range(10))
    await until(lambda: gate.active >= 4)
    await turns()
    assert gate.active == 4
    gate.open()
    await pool.join()


async def test_a_huge_size_costs_nothing() -> None:
    pool = AioPool(2**31 - 1)
    assert pool.size == 2**31 - 1
    gate = Gate()
    pool.map_n(gate.job, range(100))
    await until(lambda: gate.active == 100)
    assert not pool.is_full
    gate.open()
    await pool.join()
