"""Where the servers are; how a test runs is in `tests/conftest.py`."""

from __future__ import annotations

import os

import pytest


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
