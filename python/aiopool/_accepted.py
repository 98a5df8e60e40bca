"""How many positional arguments a callback accepts."""

import functools
import inspect
import sys
from collections.abc import Callable
from types import FunctionType, MethodType
from typing import Any

if sys.version_info >= (3, 14):
    from annotationlib import Format

    # As strings: annotations for type checkers may name objects that cannot be imported.
    _signature = functools.partial(
        inspect.signature, follow_wrapped=False, annotation_format=Format.STRING
    )
else:
    _signature = functools.partial(inspect.signature, follow_wrapped=False)

_MOST = 3
# In a partial of 3.14 and later, the place of an argument that the caller still has to give.
_PLACEHOLDER = getattr(functools, "Placeholder", object())
# More than any number of arguments: the callable has `*args`.
_ANY = sys.maxsize


def accepted_positionals(function: Callable[..., Any]) -> int:
    """The number of positional arguments that `function` accepts, at most three.

    Arguments with a default count.
    """
    return max(0, min(_MOST, _accepted(function)))


class _Probe:
    @functools.singledispatchmethod
    def method(self, _: object) -> None: ...


_PROBE = _Probe()


def _accepted(function: Callable[..., Any]) -> int:
    if _is_singledispatchmethod(function):
        # It hides that it is bound: `__wrapped__` is the unbound method.
        function = function.__wrapped__.__get__(_PROBE, _Probe)  # type: ignore[attr-defined]
    # Compare the types: a mock claims to be an instance of the class that it stands for.
    if type(function) is MethodType:
        return _accepted(function.__func__) - 1  # pyright: ignore[reportFunctionMemberAccess]
    if type(function) is FunctionType:
        return _of_function(function)
    if isinstance(function, functools.partial):
        return _of_partial(function)  # pyright: ignore[reportUnknownArgumentType]
    return _of_object(function)


def _is_singledispatchmethod(function: Callable[..., Any]) -> bool:
    """Whether a `singledispatchmethod` made it.

    All of its functions share one code object. From 3.14 on it makes objects of one type.
    """
    if type(function) is FunctionType:
        return function.__code__ is getattr(_PROBE.method, "__code__", None)
    return type(function) is type(_PROBE.method)


def _of_function(function: FunctionType) -> int:
    # Callers rely on a signature that was set explicitly, by `create_autospec` say.
    signature = function.__dict__.get("__signature__")
    if isinstance(signature, inspect.Signature):
        return _of_parameters(signature)
    if not function.__code__.co_flags & inspect.CO_VARARGS:
        return function.__code__.co_argcount
    # A decorator that takes any arguments passes them all on.
    wrapped = function.__dict__.get("__wrapped__")
    return _accepted(wrapped) if callable(wrapped) else _ANY


def _of_object(function: Callable[..., Any]) -> int:
    # Only this attribute of a mock has the signature that it stands for. The mock may refuse a
    # call with more arguments.
    signature = getattr(function, "_spec_signature", None)
    if isinstance(signature, inspect.Signature):
        return _of_parameters(signature)
    call = inspect.getattr_static(type(function), "__call__", None)
    if type(call) is FunctionType and not hasattr(function, "__signature__"):
        return _of_function(call) - 1
    return _of_signature(function)


def _of_partial(function: functools.partial[Any]) -> int:
    called, given = function.func, function.args
    if isinstance(method := called, MethodType):
        called, given = method.__func__, (method.__self__, *given)
    if type(called) is not FunctionType or "__signature__" in called.__dict__:
        return _of_signature(functools.partial(called, *given, **function.keywords))
    code = called.__code__
    if code.co_flags & inspect.CO_VARARGS:
        wrapped = called.__dict__.get("__wrapped__")
        if not callable(wrapped):
            return _ANY
        return _of_partial(functools.partial(wrapped, *given, **function.keywords))
    left = code.co_varnames[len(given) : code.co_argcount]
    for position, name in enumerate(left):
        # A caller can give the arguments after one that is given by name only by name.
        if name in function.keywords and len(given) + position >= code.co_posonlyargcount:
            left = left[:position]
            break
    return len(left) + sum(argument is _PLACEHOLDER for argument in given)


def _of_signature(function: Callable[..., Any]) -> int:
    try:
        return _of_parameters(_signature(function))
    except Exception:  # For example, a built-in without a signature: it gets all three.
        return _ANY


def _of_parameters(signature: inspect.Signature) -> int:
    kinds = [parameter.kind for parameter in signature.parameters.values()]
    if inspect.Parameter.VAR_POSITIONAL in kinds:
        return _ANY
    positional = (
        inspect.Parameter.POSITIONAL_ONLY,
        inspect.Parameter.POSITIONAL_OR_KEYWORD,
    )
    return sum(kind in positional for kind in kinds)
