"""Verbs that take a coroutine at the call, although their own coroutine may never run."""

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def coroutine_function(verb: F) -> F:
    """Marks a plain function that returns the coroutine of another one.

    Frameworks ask a function whether they are to await what it returns.
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(verb)
    # There `inspect` looks at the flags of the code and at nothing else. To call it makes no
    # coroutine all the same: what does is an instruction that stands in the code of `async def`.
    function = cast(FunctionType, verb)
    flags = function.__code__.co_flags | inspect.CO_COROUTINE
    function.__code__ = function.__code__.replace(co_flags=flags)
    return verb


def named(qualname: str) -> Callable[[F], F]:
    """Names the function that a verb has its coroutine of, as warnings and tracebacks show it."""

    def rename(run: F) -> F:
        function, name = cast(FunctionType, run), qualname.rpartition(".")[2]
        function.__name__, function.__qualname__ = name, qualname
        function.__code__ = function.__code__.replace(co_name=name, co_qualname=qualname)
        return run

    return rename
