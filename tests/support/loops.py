"""The kinds of loops that tests run on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

NewLoop = Callable[[], asyncio.AbstractEventLoop]


def asyncio_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


def asyncio_debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.set_debug(True)
    return loop


def uvloop_loop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not to be had on this platform")
    return uvloop.new_event_loop()  # type: ignore[no-any-return]


class NarrowHandle:
    """What such a loop gives: it can be cancelled, and nobody can refer to it weakly."""

    __slots__ = ("_handle",)

    def __init__(self, handle: asyncio.TimerHandle) -> None:
        self._handle = handle

    def cancel(self) -> None:
        self._handle.cancel()

    def cancelled(self) -> bool:
        return self._handle.cancelled()

    def when(self) -> float:
        return self._handle.when()


class NarrowLoop(asyncio.SelectorEventLoop):
    """All that loops lack which are not asyncio's: rloop, blazio, those of Qt.

    Its handles are its own, its timers end at 24 days, and closing it drops none of them.
    """

    FARTHEST = 2**31 / 1000  # seconds

    def call_later(self, delay: float, *args: Any, **kwargs: Any) -> Any:
        if delay > self.FARTHEST:
            raise OverflowError("a timer is as far as 2**31 milliseconds at most")
        return NarrowHandle(super().call_later(delay, *args, **kwargs))

    def call_at(self, when: float, *args: Any, **kwargs: Any) -> Any:
        if when - self.time() > self.FARTHEST:
            raise OverflowError("a timer is as far as 2**31 milliseconds at most")
        return super().call_at(when, *args, **kwargs)

    def close(self) -> None:
        self.kept = list(self._scheduled)  # type: ignore[attr-defined]
        super().close()


#: What the option ``--loops`` chooses from.
LOOPS: dict[str, NewLoop] = {
    "asyncio": asyncio_loop,
    "asyncio-debug": asyncio_debug_loop,
    "uvloop": uvloop_loop,
    "narrow": NarrowLoop,
}
