"""getres and result_noraise: what is taken out of a settled future."""

from __future__ import annotations

import asyncio
from typing import Any

from asyncio_pool import getres
from asyncio_pool.results import result_noraise


def settled(result: Any = None, error: BaseException | None = None) -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)
    return future


def cancelled() -> asyncio.Future[Any]:
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future


async def test_flat_gives_the_result_or_the_exception_object() -> None:
    error = LookupError()
    assert getres.flat(settled(1)) == 1
    assert getres.flat(settled(error=error)) is error
    assert isinstance(getres.flat(cancelled()), asyncio.CancelledError)


async def test_pair_gives_both_with_none_for_the_missing_one() -> None:
    error = LookupError()
    assert getres.pair(settled(1)) == (1, None)
    assert getres.pair(settled(error=error)) == (None, error)
    result, cancellation = getres.pair(cancelled())
    assert result is None
    assert isinstance(cancellation, asyncio.CancelledError)


async def test_dont_gives_the_future_itself() -> None:
    future = settled(1)
    assert getres.dont(future) is future


async def test_an_exception_object_that_a_job_returned_is_its_result() -> None:
    error = LookupError()
    assert getres.flat(settled(error)) is error
    assert getres.pair(settled(error)) == (error, None)


async def test_result_noraise_is_flat_unless_it_is_told_to_give_a_pair() -> None:
    error = LookupError()
    for future in (settled(1), settled(error=error)):
        assert result_noraise(future) is getres.flat(future)
        assert result_noraise(future, flat=True) is getres.flat(future)
        assert result_noraise(future, flat=False) == getres.pair(future)
