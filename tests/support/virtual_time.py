"""A loop whose time passes only when it has nothing to do: what waits for a time waits for none."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualLoop(asyncio.SelectorEventLoop):
    def __init__(self, start: float = 0.0) -> None:
        self.now = start
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.now

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """Those that are set, but for the one that all pools share while jobs wait."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return [timer for timer in timers if not timer.cancelled() and "_stall" not in repr(timer)]


class _Selector(selectors.SelectSelector):
    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing is left that could happen"
        self._loop.now += max(0.0, timeout)
        return super().select(0)


def virtually(test: Callable[[], Coroutine[Any, Any, T]], *, start: float = 0.0) -> T:
    """Runs a coroutine function in a loop of virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(start)) as runner:
        return runner.run(test())


def now() -> float:
    return asyncio.get_running_loop().time()
