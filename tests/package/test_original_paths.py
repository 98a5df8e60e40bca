"""Each path by which code that was written for asyncio-pool 0.6.0 may import something."""

from __future__ import annotations

import importlib

import pytest

import aiopool
import asyncio_pool

PATHS = [
    ("asyncio_pool", "AioPool"),
    ("asyncio_pool", "BaseAioPool"),
    ("asyncio_pool", "MxAsyncGenPool"),
    ("asyncio_pool", "getres"),
    ("asyncio_pool", "iterwait"),
    ("asyncio_pool.base_pool", "BaseAioPool"),
    ("asyncio_pool.base_pool", "getres"),
    ("asyncio_pool.mx_asyncgen", "MxAsyncGenPool"),
    ("asyncio_pool.mx_asyncgen", "getres"),
    ("asyncio_pool.mx_asyncgen", "iterwait"),
    ("asyncio_pool.mx_asynciter", "MxAsyncIterPool"),
    ("asyncio_pool.mx_asynciter", "getres"),
    ("asyncio_pool.mx_asynciter", "iterwait"),
    ("asyncio_pool.results", "getres"),
    ("asyncio_pool.results", "result_noraise"),
]


@pytest.mark.parametrize(("module", "name"), PATHS)
def test_it_can_be_imported_from_where_it_was(module: str, name: str) -> None:
    imported = importlib.import_module(module)
    assert hasattr(imported, name)
    assert name in imported.__all__


@pytest.mark.parametrize("module", sorted({module for module, _ in PATHS}))
def test_a_name_means_the_same_wherever_it_is_imported_from(module: str) -> None:
    imported = importlib.import_module(module)
    for name in set(imported.__all__) & set(asyncio_pool.__all__):
        assert getattr(imported, name) is getattr(asyncio_pool, name)


def test_both_packages_have_one_pool() -> None:
    assert asyncio_pool.AioPool is aiopool.AioPool
