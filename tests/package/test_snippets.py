"""The Python in docs/limits.md, and that about limits in the README, run as it stands there."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from aiopool import AioPool, JobTimeout, Rate
from virtual_time import virtually

ROOT = Path(__file__).parents[2]


def snippets(page: str, containing: str = "") -> Iterator[Any]:
    text = (ROOT / page).read_text()
    for block in re.finditer(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if containing in block[1]:
            line = text.count("\n", 0, block.start()) + 2
            # As many empty lines before it as there are in the page: a traceback tells the line.
            yield pytest.param("\n" * (line - 1) + block[1], id=f"{page}:{line}")


SNIPPETS = [
    *snippets("docs/limits.md"),
    *snippets("docs/nesting.md"),
    *snippets("docs/closing.md"),
    *snippets("README.md", containing="Rate("),
]


def names() -> dict[str, Any]:
    """What the snippets take as given."""
    busy = {"https://busy.example/3"}

    async def fetch(url: str) -> Any:
        await asyncio.sleep(0.05)
        if url in busy:
            busy.remove(url)
            return 429, {"Retry-After": "2"}
        return 200, {}

    async def convert(film: Any) -> int:
        await asyncio.sleep(0.05)
        return int(film.gigabytes)

    hosts = ["busy.example", "example.com", "localhost"]
    return {
        "AioPool": AioPool,
        "JobTimeout": JobTimeout,
        "Rate": Rate,
        "asyncio": asyncio,
        "convert": convert,
        "fetch": fetch,
        "films": [SimpleNamespace(gigabytes=size) for size in (1, 40, 8, 8)],
        "host_of": lambda url: url.split("/")[2],
        "urgent": {"https://example.com/5"},
        "urls": [f"https://{host}/{page}" for host in hosts for page in range(10)],
    }


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_a_snippet_runs_and_leaves_no_job_behind(
    snippet: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code = compile(snippet, "snippet", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    known = names()

    async def run() -> None:
        ran = eval(code, known)
        if inspect.isawaitable(ran):
            await ran
        await known["pool"].join()

    warns = pytest.warns(RuntimeWarning) if "# warns" in snippet else nullcontext()
    with warns:
        virtually(run)
    pool = known["pool"]
    assert pool.is_empty
    stats = pool.stats()
    assert stats.succeeded == stats.started
    assert stats.failed == stats.cancelled == 0
    if "print(" in snippet:
        assert capsys.readouterr().out


def test_there_are_snippets() -> None:
    assert len(SNIPPETS) > 5
