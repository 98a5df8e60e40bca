"""How many positional arguments a callback accepts."""

import functools
import inspect
import sys
from collections.abc import Callable
from types import AsyncGeneratorType, FunctionType, MethodType
from typing import Any, TypeAlias

if sys.version_info >= (3, 14):
    from annotationlib import Format

    # As strings: annotations for type checkers may name objects that cannot be imported.
    _signature = functools.partial(
        inspect.signature, follow_wrapped=False, annotation_format=Format.STRING
    )
else:
    _signature = functools.partial(inspect.signature, follow_wrapped=False)

# The names of the positional arguments that are still to give: "" for those that cannot be given by
# name. None if there may be any number, because the callable has `*args`.
_Names: TypeAlias = list[str] | None

_MOST = 3
# In a partial of 3.14 and later, the place of an argument that the caller still has to give.
_PLACEHOLDER = getattr(functools, "Placeholder", object())
# Where a callable that takes any arguments has the callable that it passes them on to: a decorator,
# a mock, and a generic class with its types.
_PASSED_ON_TO = ("__wrapped__", "_mock_wraps", "__origin__")


def accepted_positionals(function: Callable[..., Any]) -> int:
    """The number of positional arguments that `function` accepts, at most three.

    Arguments with a default count. If `function` takes any arguments and wraps another callable, it
    passes them on to that one, which then counts.
    """
    names = _names(function)
    return _MOST if names is None else min(_MOST, len(names))


class _Probe:
    @functools.singledispatchmethod
    def method(self, _: object) -> None: ...


_PROBE = _Probe()


def _names(function: Any) -> _Names:
    names = _own_names(function)
    if names is None:
        for place in _PASSED_ON_TO:
            passed_on_to = _attribute(function, place)
            if callable(passed_on_to):
                return _names(passed_on_to)
    return names


def _own_names(function: Any) -> _Names:
    if _is_singledispatchmethod(function):
        # It hides that it is bound: `__wrapped__` is the unbound method.
        return _names(function.__wrapped__.__get__(_PROBE, _Probe))
    kind = _kind(function)
    if kind is MethodType:
        return _without(_names(function.__func__), (function.__self__,))
    if kind is FunctionType:
        return _of_function(function)
    if kind is staticmethod:
        return _names(function.__func__)
    if issubclass(kind, functools.partial):
        return _without(_names(function.func), function.args, function.keywords)
    return _of_object(function)


def _is_singledispatchmethod(function: Any) -> bool:
    """Whether a `singledispatchmethod` made it.

    All of its functions share one code object. From 3.14 on it makes objects of one type.
    """
    if type(function) is FunctionType:
        return function.__code__ is getattr(_PROBE.method, "__code__", None)
    return type(function) is type(_PROBE.method)


def _of_function(function: FunctionType) -> _Names:
    # Callers rely on a signature that was set explicitly, by `create_autospec` say.
    signature = function.__dict__.get("__signature__")
    if isinstance(signature, inspect.Signature):
        return _of_parameters(signature)
    code = function.__code__
    if code.co_flags & inspect.CO_VARARGS:
        return None
    by_position = code.co_posonlyargcount
    return [""] * by_position + list(code.co_varnames[by_position : code.co_argcount])


def _of_object(function: Any) -> _Names:
    # Only this attribute of a mock has the signature that it stands for. The mock may refuse a
    # call with more arguments.
    signature = _attribute(function, "_spec_signature")
    if isinstance(signature, inspect.Signature):
        return _of_parameters(signature)
    if _attribute(function, "__signature__") is None:
        call = _attribute(_kind(function), "__call__")
        kind = _kind(call)
        if not hasattr(kind, "__get__"):
            return _names(call)
        if kind in _BINDING:
            return _names(call.__get__(function, _kind(function)))
    return _of_signature(function)


def _without(
    names: _Names, given: tuple[Any, ...], by_name: dict[str, Any] | None = None
) -> _Names:
    """The names that are left when some arguments are given."""
    if names is None:
        return None
    left = list[str]()
    for position, name in enumerate(names):
        if position < len(given) and given[position] is not _PLACEHOLDER:
            continue
        # A caller can give the arguments after one that is given by name only by name.
        if by_name and name in by_name and position >= len(given):
            break
        left.append(name)
    return left


def _of_signature(function: Callable[..., Any]) -> _Names:
    try:
        return _of_parameters(_signature(function))
    except Exception:  # For example, a built-in without a signature: it gets all three.
        # Before 3.13 `asend` has no signature.
        is_asend = isinstance(getattr(function, "__self__", None), AsyncGeneratorType)
        return [""] if is_asend else None


def _of_parameters(signature: inspect.Signature) -> _Names:
    parameters = signature.parameters.values()
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return None
    return [
        ("" if parameter.kind is parameter.POSITIONAL_ONLY else parameter.name)
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD)
    ]


def _kind(function: object) -> type[object]:
    # Not `isinstance`: a mock claims to be an instance of the class that it stands for.
    return type(function)


def _attribute(function: object, name: str) -> Any:
    """An attribute as it is stored: no code of the user runs."""
    return inspect.getattr_static(function, name, None)


# The kinds of `__call__` that are bound to their object without code of the user.
_BINDING = (
    FunctionType,
    staticmethod,
    classmethod,
    functools.partial,
    functools.partialmethod,
    functools.singledispatchmethod,
    type(functools.lru_cache(lambda: None)),
)
