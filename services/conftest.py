"""The pool in the company of real libraries: each test in both modes, in a plain loop of asyncio.

What kinds of loops do to a pool is what `tests` are about.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from typing import Any

import pytest

SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING = 120


@pytest.fixture(params=[False, True], ids=["task_per_job", "reuse_tasks"])
def reuse_tasks(request: pytest.FixtureRequest) -> bool:
    """In which mode a test has its pools."""
    return bool(request.param)


@pytest.fixture(scope="session")
def postgres_url() -> str:
    """Of a PostgreSQL that admits fewer connections than the tests want."""
    return from_servers("POSTGRES_URL")


@pytest.fixture(scope="session")
def redis_url() -> str:
    return from_servers("REDIS_URL")


def from_servers(name: str) -> str:
    assert name in os.environ, "these tests are run by `make test-services`, which starts servers"
    return os.environ[name]


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Runs an `async def test_...`; what the loop complains of fails it."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(checked(pyfuncitem.obj(**arguments)))
    return True


async def checked(test: Any) -> None:
    complaints: list[dict[str, Any]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, context: complaints.append(context))
    async with asyncio.timeout(SECONDS_BEFORE_A_TEST_COUNTS_AS_HANGING):
        await test
    assert not complaints
