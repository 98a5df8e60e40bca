"""The text of an error for callbacks: the text of `traceback`, with a bounded length.

An error that many jobs raise, such as the error of a dead connection, collects the frames of all of
them, and their notes. The newest frames come first, and they belong to the job in question. So not
only the length of the text is bounded, but also how much is looked at for it.
"""

import itertools
import sys
import traceback
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any, cast

_HEADING = "Traceback (most recent call last):\n"
# The number of first and of last frames to print, and of frames to look at for the last ones.
_TOLD = 32
_LOOKED_AT = 100_000
# The number of frames to print of each error that led to it or that it groups. If there are more
# errors than `_ERRORS`, none of them is printed.
_FRAMES_OF_OTHERS = 8
_ERRORS = 100
# The number of first and of last notes of an error to print. An error with more arguments than
# `_ARGUMENTS` is printed by itself, and without them.
_NOTES = 8
_ARGUMENTS = 100
_CHARACTERS = 16_000
_CHARACTERS_OF_NOTE = 1_000


def error_text(error: BaseException) -> str:
    """The traceback of `error`, as `traceback.format_exception` would give it if it is short."""
    try:
        text = "".join(_formatted(error))
    except Exception:  # The callback must run even if the error cannot be formatted.
        text = "".join(_stack(error).format()) + _line(error)
    # An error without frames, or a group, is formatted without this heading.
    text = text if text.startswith(_HEADING) else _HEADING + text
    return _shortened(text, _CHARACTERS)


def _formatted(error: BaseException) -> Iterator[str]:
    errors = list(itertools.islice(_all_of(error), _ERRORS + 1))
    if len(errors) > _ERRORS or any(_has_many_arguments(other) for other in errors):
        return iter([*_stack(error).format(), _line(error)])
    told = traceback.TracebackException(
        type(error), error, _traceback_of(error), limit=_FRAMES_OF_OTHERS
    )
    told.stack = _stack(error)
    _bound_notes(told)
    return told.format()


def _stack(error: BaseException) -> traceback.StackSummary:
    frames = _frames(_traceback_of(error))
    told = list(itertools.islice(frames, _TOLD))
    # Calls nest so deep, and some of them are told twice: where their error is raised again.
    deepest = min(2 * sys.getrecursionlimit(), _LOOKED_AT)
    told += deque(itertools.islice(frames, deepest), maxlen=_TOLD)
    return traceback.StackSummary.extract((frame.tb_frame, frame.tb_lineno) for frame in told)


def _frames(frame: TracebackType | None) -> Iterator[TracebackType]:
    while frame is not None:
        yield frame
        frame = frame.tb_next


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
            group = cast("BaseExceptionGroup[BaseException]", looked_at)
            to_look_at += group.exceptions[: _ERRORS + 1]


def _bound_notes(told: traceback.TracebackException) -> None:
    """Replaces the notes of the error, of those that led to it, and of those that it groups."""
    to_bound: list[traceback.TracebackException | None] = [told]
    while to_bound:
        bounded = to_bound.pop()
        if bounded is not None:
            bounded.__notes__ = _bounded_notes(bounded.__notes__)
            to_bound += [bounded.__cause__, bounded.__context__, *(bounded.exceptions or ())]


def _bounded_notes(notes: object) -> list[str] | None:
    if notes is None:
        return None
    told = cast("list[object]", notes) if type(notes) is list else [notes]
    if left_out := max(0, len(told) - 2 * _NOTES):
        told = [*told[:_NOTES], f"... {left_out} notes ...", *told[-_NOTES:]]
    return [
        # Not by a `__str__` of the user, which may take as long as it likes.
        _shortened(note, _CHARACTERS_OF_NOTE) if type(note) is str else object.__repr__(note)
        for note in told
    ]


def _has_many_arguments(error: BaseException) -> bool:
    return len(_ARGS.__get__(error)) > _ARGUMENTS


def _line(error: BaseException) -> str:
    if _has_many_arguments(error):
        return f"{type(error).__qualname__}: <{len(_ARGS.__get__(error))} arguments>\n"
    try:
        message = f": {error}" if str(error) else ""
    except Exception:
        message = ""
    return f"{type(error).__qualname__}{message}\n"


def _traceback_of(error: BaseException) -> TracebackType | None:
    # Not by an attribute of the error itself, which may refuse.
    frames: TracebackType | None = _TRACEBACK.__get__(error)
    return frames


def _shortened(text: str, most: int) -> str:
    if len(text) <= most:
        return text
    kept = most // 2
    left_out = f"\n... {len(text) - 2 * kept} characters ...\n"
    return text[:kept] + left_out + text[-kept:]


_ARGS: Any = vars(BaseException)["args"]
_TRACEBACK: Any = vars(BaseException)["__traceback__"]
