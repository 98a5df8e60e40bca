"""How many positional arguments a callback accepts."""

import inspect
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

_MOST = 3


def accepted_positionals(function: Callable[..., Any]) -> int:
    """How many positional arguments `function` accepts, defaults included; at most three."""
    if isinstance(function, MethodType):
        return _of_method(function)
    if isinstance(function, FunctionType):
        return _of_function(function)
    return _of_signature(function)


def _of_method(method: MethodType) -> int:
    underlying = method.__func__
    if not isinstance(underlying, FunctionType) or hasattr(underlying, "__wrapped__"):
        return _of_signature(method)
    code = underlying.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return _MOST
    return max(0, min(_MOST, code.co_argcount - 1))


def _of_function(function: FunctionType) -> int:
    # A decorator that keeps the name of what it wraps accepts anything itself: what the wrapped
    # function accepts is in the signature.
    if hasattr(function, "__wrapped__"):
        return _of_signature(function)
    code = function.__code__
    return _MOST if code.co_flags & inspect.CO_VARARGS else min(_MOST, code.co_argcount)


def _of_signature(function: Callable[..., Any]) -> int:
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:  # A built-in that does not tell: it is called with all there is.
        return _MOST
    kinds = [parameter.kind for parameter in parameters]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return _MOST
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return min(_MOST, sum(kind in positional for kind in kinds))
