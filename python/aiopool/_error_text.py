"""The text of an error for callbacks: the text of `traceback`, with a bounded length.

An error that many jobs raise, such as the error of a dead connection, collects the frames of all of
them. The newest frames come first, and they belong to the job in question.
"""

import itertools
import traceback
from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

_HEADING = "Traceback (most recent call last):\n"
# The number of frames to look at, and the number of first and of last frames among them to print.
_LOOKED_AT = 1_000
_TOLD = 32
# The number of frames to print of each error that led to it or that it groups. If there are more
# errors than `_ERRORS`, none of them is printed.
_FRAMES_OF_OTHERS = 8
_ERRORS = 100
_CHARACTERS = 16_000


def error_text(error: BaseException) -> str:
    """The traceback of `error`, as `traceback.format_exception` would give it if it is short."""
    try:
        text = "".join(_formatted(error))
    except Exception:  # The callback must run even if the error cannot be formatted.
        text = "".join(_stack(error).format()) + _line(error)
    # An error without frames, or a group, is formatted without this heading.
    text = text if text.startswith(_HEADING) else _HEADING + text
    return text if len(text) <= _CHARACTERS else _shortened(text)


def _formatted(error: BaseException) -> Iterator[str]:
    if len(list(itertools.islice(_all_of(error), _ERRORS + 1))) > _ERRORS:
        return iter([*_stack(error).format(), _line(error)])
    told = traceback.TracebackException(
        type(error), error, _traceback_of(error), limit=_FRAMES_OF_OTHERS
    )
    told.stack = _stack(error)
    return told.format()


def _stack(error: BaseException) -> traceback.StackSummary:
    frames = list(itertools.islice(traceback.walk_tb(_traceback_of(error)), _LOOKED_AT))
    if len(frames) > 2 * _TOLD:
        frames = frames[:_TOLD] + frames[-_TOLD:]
    return traceback.StackSummary.extract(iter(frames))


def _all_of(error: BaseException) -> Iterator[BaseException]:
    """The error, the errors that led to it, and the errors that it groups."""
    to_look_at, seen = [error], set[int]()
    while to_look_at:
        looked_at = to_look_at.pop()
        if id(looked_at) in seen:
            continue
        seen.add(id(looked_at))
        yield looked_at
        led_to_it = (looked_at.__cause__, looked_at.__context__)
        to_look_at += [other for other in led_to_it if other is not None]
        if isinstance(looked_at, BaseExceptionGroup):
            to_look_at += cast("BaseExceptionGroup[BaseException]", looked_at).exceptions


def _line(error: BaseException) -> str:
    try:
        message = f": {error}" if str(error) else ""
    except Exception:
        message = ""
    return f"{type(error).__qualname__}{message}\n"


def _traceback_of(error: BaseException) -> TracebackType | None:
    # Not by an attribute of the error itself, which may refuse.
    frames: TracebackType | None = _TRACEBACK.__get__(error)
    return frames


def _shortened(text: str) -> str:
    kept = _CHARACTERS // 2
    left_out = f"\n... {len(text) - 2 * kept} characters ...\n"
    return text[:kept] + left_out + text[-kept:]


_TRACEBACK: Any = vars(BaseException)["__traceback__"]
