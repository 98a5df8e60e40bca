"""For verbs that take a coroutine at the call, although their own coroutine may never run."""

import inspect
import sys
from collections.abc import Callable
from types import FunctionType
from typing import Any, TypeVar, cast

F = TypeVar("F", bound=Callable[..., Any])


def coroutine_function(verb: F) -> F:
    """Marks a plain function that returns the coroutine of another function.

    Frameworks ask a function whether they have to await its return value.
    """
    if sys.version_info >= (3, 12):
        return inspect.markcoroutinefunction(verb)
    # On 3.11 `inspect` looks only at the flags of the code. The flag does not change a call: an
    # instruction in the code of an `async def` makes its coroutine, and this code has none.
    function = cast(FunctionType, verb)
    flags = function.__code__.co_flags | inspect.CO_COROUTINE
    function.__code__ = function.__code__.replace(co_flags=flags)
    return verb


def named(qualname: str) -> Callable[[F], F]:
    """Names the function that makes the coroutine of a verb, for warnings and tracebacks."""

    def rename(run: F) -> F:
        function, name = cast(FunctionType, run), qualname.rpartition(".")[2]
        function.__name__, function.__qualname__ = name, qualname
        function.__code__ = function.__code__.replace(co_name=name, co_qualname=qualname)
        return run

    return rename
