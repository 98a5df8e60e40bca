"""Callbacks: which are taken, what they are called with, and what becomes of what they give."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import AsyncGenerator, Callable
from types import MethodType
from typing import Any, Generic, TypeVar
from unittest.mock import AsyncMock, create_autospec

import pytest

from asyncio_pool import AioPool
from helpers import (
    Gate,
    HandIn,
    assert_usable,
    every_verb,
    fails,
    ready,
    turns,
    until,
)

T = TypeVar("T")

# What a job that returned 1 with the context "ctx" gives its callback, by number of arguments.
ONE, TWO, THREE = (1,), (1, None), (1, None, "ctx")


async def one(res: Any) -> Any:
    return (res,)


async def two(res: Any, err: Any) -> Any:
    return res, err


async def three(res: Any, err: Any, ctx: Any) -> Any:
    return res, err, ctx


async def default_error(res: Any, err: Any = "default") -> Any:
    return res, err


async def defaults(res: Any = "default", err: Any = "default", ctx: Any = "default") -> Any:
    return res, err, ctx


async def fourth_with_default(res: Any, err: Any, ctx: Any, more: Any = "default") -> Any:
    assert more == "default"
    return res, err, ctx


async def var_args(*args: Any) -> Any:
    return args


async def one_and_var_args(res: Any, *args: Any) -> Any:
    return res, *args


async def keyword_only(res: Any, *, more: Any = "default", **others: Any) -> Any:
    assert (more, others) == ("default", {})
    return (res,)


async def positional_only(res: Any, err: Any, /) -> Any:
    return res, err


async def named_self(self: Any, err: Any) -> Any:
    return self, err


def plain_function(res: Any, err: Any) -> Any:
    return two(res, err)


@functools.wraps(one)
async def wrapped(*args: Any) -> Any:
    return await one(*args)


def gives_all(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await function(*args, **kwargs)

    return wrapper


def gives_a_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """As a decorator does that hands in a connection, say."""

    @functools.wraps(function)
    async def wrapper(res: Any) -> Any:
        _, *rest = await function("first", res)
        return tuple(rest)

    return wrapper


class Methods:
    async def bound(self, res: Any, err: Any) -> Any:
        return res, err

    async def bound_var_args(self, *args: Any) -> Any:
        return args

    @classmethod
    async def of_class(cls, res: Any, err: Any) -> Any:
        return res, err

    @staticmethod
    async def static(res: Any, err: Any) -> Any:
        return res, err

    @gives_all
    async def decorated(self, res: Any, err: Any) -> Any:
        return res, err

    @functools.singledispatchmethod
    async def dispatched(self, res: Any, err: Any) -> Any:
        return res, err

    @functools.singledispatchmethod
    @classmethod
    async def dispatched_of_class(cls, res: Any, err: Any) -> Any:
        return res, err

    @functools.singledispatchmethod
    @staticmethod
    async def dispatched_static(res: Any, err: Any) -> Any:
        return res, err


class Callable2:
    async def __call__(self, res: Any, err: Any) -> Any:
        return res, err


class DecoratedCallable:
    @gives_all
    async def __call__(self, res: Any, err: Any) -> Any:
        return res, err


class CallableVarArgs:
    async def __call__(self, *args: Any) -> Any:
        return args


class ClassAsDecorator:
    """As `gives_all`, written as a class."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function)
        self.function = function

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return await self.function(*args, **kwargs)


class Decorated:
    of_class = ClassAsDecorator(two)

    @functools.lru_cache  # noqa: B019
    def cached(self, res: Any, err: Any) -> Any:
        return asyncio.ensure_future(two(res, err))


class StaticCall:
    @staticmethod
    async def __call__(res: Any, err: Any) -> Any:
        return res, err


class ClassCall:
    @classmethod
    async def __call__(cls, res: Any, err: Any) -> Any:
        return res, err


class PartialMethodCall:
    async def with_first(self, first: Any, res: Any, err: Any) -> Any:
        return res, err

    __call__ = functools.partialmethod(with_first, "first")


class PartialCall:
    __call__ = staticmethod(functools.partial(two))


class ObjectCall:
    __call__ = ClassAsDecorator(two)


class Awaitable2(Generic[T]):
    def __init__(self, res: Any, err: Any) -> None:
        self.given = res, err

    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return self.given


@functools.lru_cache
def cached(res: Any, err: Any) -> Any:
    return asyncio.ensure_future(two(res, err))


class Falsy(Callable2):
    def __bool__(self) -> bool:
        return False


@pytest.mark.parametrize(
    ("callback", "arguments"),
    [
        pytest.param(one, ONE, id="one argument"),
        pytest.param(two, TWO, id="two arguments"),
        pytest.param(three, THREE, id="three arguments"),
        pytest.param(default_error, TWO, id="a default"),
        pytest.param(defaults, THREE, id="only defaults"),
        pytest.param(fourth_with_default, THREE, id="a fourth with a default"),
        pytest.param(var_args, THREE, id="*args"),
        pytest.param(one_and_var_args, THREE, id="one and *args"),
        pytest.param(keyword_only, ONE, id="keyword-only with a default"),
        pytest.param(positional_only, TWO, id="positional-only"),
        pytest.param(named_self, TWO, id="a function with an argument named self"),
        pytest.param(lambda res: one(res), ONE, id="lambda"),
        pytest.param(plain_function, TWO, id="a function that gives a coroutine"),
        pytest.param(wrapped, ONE, id="functools.wraps"),
        pytest.param(gives_all(two), TWO, id="decorated"),
        pytest.param(gives_all(gives_all(two)), TWO, id="decorated twice"),
        pytest.param(gives_a_first(two), (1,), id="decorated by what takes less"),
        pytest.param(gives_all(gives_a_first(two)), (1,), id="and by what takes all"),
        pytest.param(functools.singledispatch(two), TWO, id="singledispatch"),
        pytest.param(Methods().decorated, TWO, id="decorated method"),
        pytest.param(Methods().dispatched, TWO, id="singledispatchmethod"),
        pytest.param(Methods().dispatched_of_class, TWO, id="singledispatchmethod of a class"),
        pytest.param(Methods().dispatched_static, TWO, id="static singledispatchmethod"),
        pytest.param(Methods().bound, TWO, id="bound method"),
        pytest.param(Methods().bound_var_args, THREE, id="bound method with *args"),
        pytest.param(Methods.of_class, TWO, id="class method"),
        pytest.param(Methods().of_class, TWO, id="class method of an instance"),
        pytest.param(Methods.static, TWO, id="static method"),
        pytest.param(Methods().static, TWO, id="static method of an instance"),
        pytest.param(functools.partial(two), TWO, id="partial"),
        pytest.param(functools.partial(three, ctx="ctx"), THREE, id="partial with a keyword"),
        pytest.param(functools.partial(two, 1), (1, 1), id="partial with a positional"),
        pytest.param(functools.partial(two, err=None), (1, None), id="partial with a last keyword"),
        pytest.param(functools.partial(positional_only), TWO, id="partial of positional-only"),
        pytest.param(functools.partial(Methods().bound), TWO, id="partial of a method"),
        pytest.param(functools.partial(var_args), THREE, id="partial of *args"),
        pytest.param(functools.partial(gives_all(two), 1), (1, 1), id="partial of a decorated one"),
        pytest.param(functools.partial(Methods().decorated), TWO, id="partial of that as a method"),
        pytest.param(Callable2(), TWO, id="callable object"),
        pytest.param(DecoratedCallable(), TWO, id="decorated callable object"),
        pytest.param(CallableVarArgs(), THREE, id="callable object with *args"),
        pytest.param(functools.partial(Callable2()), TWO, id="partial of a callable object"),
        pytest.param(Falsy(), TWO, id="callable object that is false"),
        pytest.param(ClassAsDecorator(two), TWO, id="decorated by a class"),
        pytest.param(gives_all(ClassAsDecorator(one)), ONE, id="and by a function"),
        pytest.param(ClassAsDecorator(gives_a_first(two)), (1,), id="a class over what takes less"),
        pytest.param(functools.partial(ClassAsDecorator(two)), TWO, id="partial of that"),
        pytest.param(functools.partial(ClassAsDecorator(three), ctx=5), (1, None, 5), id="ctx"),
        pytest.param(Decorated().of_class, TWO, id="attribute decorated by a class"),
        pytest.param(
            functools.partial(DecoratedCallable()), TWO, id="partial of a decorated object"
        ),
        pytest.param(functools.partial(Methods().dispatched), TWO, id="partial of a dispatched"),
        pytest.param(staticmethod(two), TWO, id="staticmethod"),
        pytest.param(functools.partial(staticmethod(two)), TWO, id="partial of a staticmethod"),
        pytest.param(StaticCall(), TWO, id="static __call__"),
        pytest.param(functools.partial(StaticCall()), TWO, id="partial of a static __call__"),
        pytest.param(ClassCall(), TWO, id="__call__ of the class"),
        pytest.param(PartialMethodCall(), TWO, id="partial method as __call__"),
        pytest.param(PartialCall(), TWO, id="partial as __call__"),
        pytest.param(ObjectCall(), TWO, id="object as __call__"),
        pytest.param(
            MethodType(ClassAsDecorator(three), 1), (1, 1, None), id="method of an object"
        ),
        pytest.param(Awaitable2, TWO, id="class"),
        pytest.param(Awaitable2[int], TWO, id="generic class with its types"),
    ],
)
async def test_a_callback_gets_as_many_arguments_as_it_accepts(
    callback: Callable[..., Any], arguments: tuple[Any, ...]
) -> None:
    pool = AioPool(1)
    assert await pool.exec(ready(1), callback, "ctx") == arguments
    await pool.join()
    await assert_usable(pool)


@pytest.mark.parametrize(
    "function",
    [cached, functools.partial(cached), Decorated().cached],
    ids=["", "partial", "method"],
)
async def test_a_cached_function_gets_as_many_arguments_as_it_accepts(
    function: Callable[..., Any],
) -> None:
    pool, result = AioPool(1), object()
    assert await pool.exec(ready(result), function) == (result, None)
    await pool.join()


async def test_the_asend_of_a_generator_gets_the_result() -> None:
    async def received() -> AsyncGenerator[Any, Any]:
        result = yield
        yield (result,)

    pool, generator = AioPool(1), received()
    await generator.asend(None)
    assert await pool.exec(ready(1), generator.asend) == ONE
    await generator.aclose()
    await pool.join()


async def test_nothing_of_a_callback_is_called_to_count_its_arguments() -> None:
    class Proxy:
        def __getattr__(self, name: str) -> Any:
            raise AssertionError(f"{name} is read")

        async def __call__(self, res: Any, err: Any) -> Any:
            return res, err

    pool = AioPool(1)
    assert await pool.exec(ready(1), Proxy()) == TWO
    await pool.join()


async def test_a_mock_can_be_a_callback() -> None:
    pool, callback = AioPool(1), AsyncMock(return_value=5)
    assert await pool.exec(ready(1), callback, "ctx") == 5
    callback.assert_awaited_once_with(1, None, "ctx")
    await pool.join()


@pytest.mark.parametrize(
    ("original", "arguments"),
    [
        pytest.param(one, (1,), id="of a function"),
        pytest.param(Methods().bound, TWO, id="of a method"),
    ],
)
async def test_an_autospec_gets_as_many_arguments_as_what_it_stands_for(
    original: Any, arguments: tuple[Any, ...]
) -> None:
    pool, callback = AioPool(1), create_autospec(original, return_value=5)
    assert await pool.exec(ready(1), callback, "ctx") == 5
    callback.assert_called_once_with(*arguments)
    await pool.join()


@pytest.mark.parametrize("known_by", ["spec", "wraps"])
@pytest.mark.parametrize("partial", [False, True])
async def test_a_mock_of_a_function_gets_as_many_arguments_as_that(
    known_by: str, partial: bool
) -> None:
    pool = AioPool(1)
    callback = AsyncMock(side_effect=two, **{known_by: two})
    await pool.exec(ready(1), functools.partial(callback) if partial else callback)
    callback.assert_called_once_with(*TWO)
    await pool.join()


async def test_a_partial_of_a_method_of_an_autospec_gets_what_is_left() -> None:
    pool, methods = AioPool(1), create_autospec(Methods())
    methods.bound.return_value = 5
    assert await pool.exec(ready(1), functools.partial(methods.bound, 0)) == 5
    methods.bound.assert_called_once_with(0, 1)
    await pool.join()


async def test_the_method_of_an_autospec_gets_as_many_arguments_as_it_stands_for() -> None:
    pool, methods = AioPool(1), create_autospec(Methods())
    methods.bound.return_value = 5
    assert await pool.exec(ready(1), methods.bound, "ctx") == 5
    methods.bound.assert_called_once_with(*TWO)
    await pool.join()


# As without `from __future__ import annotations` from 3.14 on.
ANNOTATED = """
class Stored:
    async def __call__(self, res: Missing) -> Missing:
        return (res,)

async def after_one(_: object, res: Missing = None) -> Missing:
    return (res,)

async def of_builtins(res: Missing, err: 1 / 0) -> Missing:
    return res, err
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="before 3.14 they are evaluated at once")
@pytest.mark.parametrize("kind", ["object", "partial", "function"])
async def test_the_annotations_of_a_callback_are_never_evaluated(kind: str) -> None:
    defined: dict[str, Any] = {}
    code = compile(ANNOTATED, "annotated", "exec", dont_inherit=True)
    exec(code, defined)
    callback, arguments = {
        "object": (defined["Stored"](), ONE),
        "partial": (functools.partial(defined["after_one"], 0), ONE),
        "function": (functools.partial(defined["of_builtins"]), TWO),
    }[kind]
    pool = AioPool(1)
    assert await pool.exec(ready(1), callback, "ctx") == arguments
    await pool.join()


@every_verb
async def test_the_job_settles_with_what_the_callback_returns(hand_in: HandIn) -> None:
    async def callback(res: int, err: object, ctx: int) -> int:
        await asyncio.sleep(0)
        return res + ctx

    pool = AioPool(1)
    assert await hand_in(pool, lambda: ready(1), callback, 10) == 11
    await pool.join()
    await assert_usable(pool)


@every_verb
async def test_the_job_settles_with_what_the_callback_raises(hand_in: HandIn) -> None:
    async def callback(res: int) -> None:
        raise error

    pool, error = AioPool(1), LookupError()
    with pytest.raises(LookupError) as raised:
        await hand_in(pool, lambda: ready(1), callback)
    assert raised.value is error
    await pool.join()
    await assert_usable(pool)


@every_verb
async def test_a_callback_without_a_positional_argument_is_a_runtime_error(
    hand_in: HandIn,
) -> None:
    async def callback() -> None:
        called.append("callback")

    async def job() -> None:
        called.append("job")

    pool, called = AioPool(1), []
    with pytest.raises(RuntimeError, match="argument"):
        await hand_in(pool, job, callback)
    assert called == ["job"]
    await pool.join()
    await assert_usable(pool)


async def test_keyword_arguments_are_no_positional_arguments() -> None:
    async def callback(*, res: object = None, **others: object) -> None:
        raise AssertionError("never called")

    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="argument"):
        await pool.exec(ready(1), callback)
    await pool.join()
    await assert_usable(pool)


async def test_a_method_that_takes_only_itself_has_no_positional_argument() -> None:
    class Method:
        async def callback(self) -> None:
            raise AssertionError("never called")

    pool = AioPool(1)
    with pytest.raises(RuntimeError, match="argument"):
        await pool.exec(ready(1), Method().callback)
    await pool.join()
    await assert_usable(pool)


@every_verb
@pytest.mark.parametrize("given", [None, 5, "text"])
async def test_a_callback_that_gives_no_awaitable_is_a_type_error(
    hand_in: HandIn, given: object
) -> None:
    pool = AioPool(1)
    with pytest.raises(TypeError, match=r"callback|cb"):
        await hand_in(pool, lambda: ready(1), lambda res: given)
    await pool.join()
    await assert_usable(pool)


async def test_a_callback_that_raises_when_it_is_called_settles_the_job() -> None:
    def callback(res: object) -> Any:
        raise error

    pool, error = AioPool(1), LookupError()
    with pytest.raises(LookupError) as raised:
        await pool.exec(ready(1), callback)
    assert raised.value is error
    await pool.join()
    await assert_usable(pool)


async def test_a_callback_that_raises_stop_iteration_when_it_is_called_settles_the_job() -> None:
    def callback(res: object) -> Any:
        raise StopIteration

    pool = AioPool(1)
    future = pool.spawn_n(ready(1), callback)
    await pool.join()
    assert isinstance(future.exception(), Exception)
    await assert_usable(pool)


async def test_a_callback_that_wants_more_arguments_than_three_settles_the_job() -> None:
    async def callback(res: object, err: object, ctx: object, more: object) -> None:
        raise AssertionError("never called")

    pool = AioPool(1)
    with pytest.raises(TypeError):
        await pool.exec(ready(1), callback)
    await pool.join()
    await assert_usable(pool)


async def test_a_callback_that_wants_a_keyword_argument_settles_the_job() -> None:
    async def callback(res: object, *, more: object) -> None:
        raise AssertionError("never called")

    pool = AioPool(1)
    with pytest.raises(TypeError):
        await pool.exec(ready(1), callback)
    await pool.join()
    await assert_usable(pool)


async def test_a_callback_may_give_any_awaitable() -> None:
    def callback(res: int) -> asyncio.Future[int]:
        return asyncio.ensure_future(ready(res + 1))

    pool = AioPool(1)
    assert await pool.exec(ready(1), callback) == 2
    await pool.join()


@every_verb
async def test_the_callback_of_a_failed_job_gets_the_exception_and_its_traceback(
    hand_in: HandIn,
) -> None:
    async def the_job_that_fails() -> None:
        await asyncio.sleep(0)
        raise error

    async def callback(res: object, err: Any, ctx: object) -> Any:
        return res, err, ctx

    pool, error = AioPool(1), LookupError("nothing there")
    res, (exception, text), ctx = await hand_in(pool, the_job_that_fails, callback, "ctx")
    assert (res, ctx) == (None, "ctx")
    assert exception is error
    assert text.startswith("Traceback (most recent call last)")
    assert "in the_job_that_fails" in text
    assert "raise error" in text
    assert "LookupError: nothing there" in text
    await pool.join()


async def test_the_traceback_text_shows_the_cause_too() -> None:
    async def job() -> None:
        try:
            raise KeyError("the cause")
        except KeyError as cause:
            raise LookupError("the effect") from cause

    async def callback(res: object, err: Any) -> Any:
        return err[1]

    pool = AioPool(1)
    text = await pool.exec(job(), callback)
    assert "the cause" in text
    assert "the effect" in text
    await pool.join()


async def test_the_text_of_an_error_that_many_jobs_raise_shows_the_frames_of_each() -> None:
    async def raise_it(number: int) -> None:
        await asyncio.sleep(0)
        raise error

    async def callback(res: object, err: Any) -> Any:
        return err[1]

    pool, error = AioPool(10), ConnectionResetError("the peer is gone")
    texts = await pool.map(raise_it, range(500), callback)
    assert all("in raise_it" in text.splitlines()[1] for text in texts)
    assert all(text.endswith("ConnectionResetError: the peer is gone\n") for text in texts)
    assert len(texts[-1]) == len(texts[-2]), "it grows no more"


def deep(depth: int) -> None:
    if depth:
        deep(depth - 1)
    raise LookupError("at the bottom")


def with_contexts(count: int) -> None:
    try:
        if count:
            with_contexts(count - 1)
    finally:
        raise LookupError(f"number {count}")


def group_of(width: int, depth: int) -> Exception:
    if not depth:
        return LookupError("at the bottom")
    return ExceptionGroup("a group", [group_of(width, depth - 1) for _ in range(width)])


def has_been_noted(times: int) -> Exception:
    error = LookupError("at the bottom")
    for _ in range(times):
        error.add_note("noted " * 100)
    return error


@pytest.mark.parametrize(
    ("fail", "told"),
    [
        pytest.param(lambda: deep(500), ["in deep", "LookupError: at the bottom"], id="deep"),
        pytest.param(lambda: with_contexts(300), ["LookupError: number 300"], id="contexts"),
        pytest.param(lambda: deep(-1), ["RecursionError: max"], id="endless recursion"),
    ],
)
async def test_the_text_of_an_error_that_has_been_far_is_bounded(
    fail: Callable[[], None], told: list[str]
) -> None:
    async def the_job_that_fails() -> None:
        fail()

    async def callback(res: object, err: Any) -> Any:
        return err[1]

    pool = AioPool(1)
    text = await pool.exec(the_job_that_fails(), callback)
    await pool.join()
    assert len(text) < 20_000
    for part in ("Traceback (most recent call last):", "in the_job_that_fails", *told):
        assert part in text


async def test_the_text_of_an_error_shows_where_it_was_raised_however_deep() -> None:
    def raise_it() -> None:
        raise LookupError("at the bottom")

    def descend(depth: int) -> None:
        if depth:
            descend(depth - 1)
        else:
            raise_it()

    async def the_job_that_fails() -> None:
        descend(2_000)

    pool, limit = AioPool(1), sys.getrecursionlimit()
    sys.setrecursionlimit(4_000)
    try:
        _, (_, text) = await pool.exec(the_job_that_fails(), two)
    finally:
        sys.setrecursionlimit(limit)
    await pool.join()
    for part in "in the_job_that_fails", "in descend", "in raise_it":
        assert part in text


class Noted(Exception):
    """Counts how many of its notes are looked at."""

    looked_at = 0


class Note(str):
    __slots__ = ()

    def __str__(self) -> str:
        Noted.looked_at += 1
        return "a note"

    def split(self, *_: Any) -> Any:
        Noted.looked_at += 1
        return ["a note"]


@pytest.mark.parametrize("led_to_it", ["nothing", "cause", "context", "group"])
async def test_of_the_notes_of_an_error_a_bounded_number_is_looked_at(led_to_it: str) -> None:
    def failed() -> Exception:
        noted, error = Noted(), LookupError()
        for name in "first", *map(Note, range(1_000)), "last":
            noted.add_note(name)
        if led_to_it == "group":
            return ExceptionGroup("a group", [noted])
        if led_to_it != "nothing":
            setattr(error, f"__{led_to_it}__", noted)
            return error
        return noted

    pool, Noted.looked_at = AioPool(1), 0
    _, (_, text) = await pool.exec(fails(failed()), two)
    await pool.join()
    assert Noted.looked_at < 100
    for part in "first\n", "... 986 notes ...", "last\n":
        assert part in text


@pytest.mark.parametrize(
    "notes",
    [
        pytest.param("a note" * 100_000, id="text"),
        pytest.param(range(100_000), id="a sequence"),
        pytest.param({"a note": "a note" * 100_000}, id="a mapping"),
        pytest.param(["a note" * 100_000], id="a long note"),
        pytest.param([["a note"] * 100_000], id="a list as a note"),
        pytest.param(5, id="a number"),
    ],
)
async def test_notes_of_any_type_are_told_in_few_characters(notes: object) -> None:
    error = LookupError("at the bottom")
    error.__notes__ = notes  # type: ignore[assignment]
    pool = AioPool(1)
    _, (_, text) = await pool.exec(fails(error), two)
    await pool.join()
    assert "LookupError: at the bottom\n" in text
    assert len(text.partition("at the bottom\n")[2]) < 2_000


async def test_the_arguments_of_an_error_that_each_job_adds_to_are_not_printed() -> None:
    class Argument:
        def __repr__(self) -> str:
            raise AssertionError("never called")

    pool, error = AioPool(1), LookupError(*(Argument() for _ in range(1_000)))
    _, (_, text) = await pool.exec(fails(error), two)
    await pool.join()
    assert text.endswith("LookupError: <1000 arguments>\n")


@pytest.mark.parametrize(
    ("error", "told"),
    [
        pytest.param(LookupError("long " * 100_000), ["LookupError: long"], id="message"),
        pytest.param(has_been_noted(1_000), ["at the bottom", "noted"], id="notes"),
        pytest.param(group_of(40, 1), ["a group (40 sub-exceptions)", "at the b"], id="group"),
        pytest.param(group_of(8, 4), ["a group (8 sub-exceptions)"], id="group of groups"),
    ],
)
async def test_the_text_of_an_error_that_is_big_is_bounded(
    error: Exception, told: list[str]
) -> None:
    pool = AioPool(1)
    _, (_, text) = await pool.exec(fails(error), two)
    await pool.join()
    assert len(text) < 20_000
    assert text.startswith("Traceback (most recent call last):")
    for part in told:
        assert part in text


async def test_the_traceback_text_is_built_only_for_callbacks_that_take_it() -> None:
    class PrintedError(Exception):
        def __str__(self) -> str:
            printed.append(True)
            return "printed"

    async def callback(res: object) -> object:
        return "called"

    pool, printed = AioPool(1), []
    assert await pool.exec(fails(PrintedError()), callback) == "called"
    assert printed == []
    assert "printed" in (await pool.exec(fails(PrintedError()), two))[1][1]
    assert printed
    await pool.join()


async def test_an_exception_that_cannot_be_printed_harms_nobody() -> None:
    class PrintedError(Exception):
        def __str__(self) -> str:
            raise LookupError

    pool, error = AioPool(1), PrintedError()
    _, (exception, text) = await pool.exec(fails(error), two)
    assert exception is error
    assert text.startswith("Traceback (most recent call last)")
    await pool.join()
    await assert_usable(pool)


async def test_a_callback_that_takes_no_error_hides_the_error() -> None:
    async def callback(res: object) -> tuple[str, object]:
        return "called", res

    pool = AioPool(1)
    assert await pool.exec(fails(LookupError()), callback) == ("called", None)
    await pool.join()


async def test_a_callback_may_raise_the_error_of_its_job_again() -> None:
    async def callback(res: object, err: Any) -> None:
        raise err[0]

    pool, error = AioPool(1), LookupError()
    with pytest.raises(LookupError) as raised:
        await pool.exec(fails(error), callback)
    assert raised.value is error
    await pool.join()
    await assert_usable(pool)


async def test_an_error_of_fn_settles_its_item_without_the_callback() -> None:
    def fn(item: int) -> Any:
        raise LookupError(item)

    pool, callback = AioPool(1), AsyncMock()
    [of_map] = await pool.map(fn, [7], callback)
    [of_itermap] = [error async for error in pool.itermap(fn, [7], callback)]
    [future] = pool.map_n(fn, [7], callback)
    await pool.join()
    errors = [of_map, of_itermap, future.exception()]
    assert [type(error) for error in errors] == [LookupError] * 3
    assert callback.await_count == 0


async def test_the_callback_runs_in_the_slot_of_its_job() -> None:
    async def callback(res: object) -> None:
        await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    pool.spawn_n(ready(1), callback)
    waiting = pool.spawn_n(gate.job("waiting"))
    await until(lambda: "callback" in gate.started)
    await turns()
    assert gate.started == ["callback"]
    assert (pool.n_active, len(pool)) == (1, 2)
    gate.open()
    await waiting
    await pool.join()
    assert gate.highest == 1


async def test_the_future_is_not_settled_before_the_callback_has_ended() -> None:
    async def callback(res: object) -> str:
        return await gate.job("callback")

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(ready(1), callback)
    await until(lambda: gate.active)
    await turns()
    assert not future.done()
    gate.open()
    assert await future == "callback"
    await pool.join()


async def test_a_callback_can_hand_in_jobs() -> None:
    async def callback(res: int, err: object, ctx: Any) -> Any:
        return pool.spawn_n(ready(res + 1))

    pool = AioPool(1)
    inner = await pool.exec(ready(1), callback)
    assert await inner == 2
    await pool.join()


async def test_no_callback_is_the_same_as_none() -> None:
    pool = AioPool(1)
    assert await pool.exec(ready(1), None) == 1
    assert await pool.map(ready, [1], None, "ctx") == [1]
    await pool.join()


async def test_a_callback_that_raises_cancelled_error_cancels_the_future() -> None:
    async def callback(res: object) -> None:
        raise asyncio.CancelledError

    pool = AioPool(1)
    future = pool.spawn_n(ready(1), callback)
    await pool.join()
    assert future.cancelled()
    await assert_usable(pool)


async def test_the_callback_of_a_job_that_cancelled_its_own_task_is_not_cancelled() -> None:
    async def job() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "result"

    async def callback(res: object, err: object) -> str:
        await turns()
        return "callback"

    pool = AioPool(1)
    future = pool.spawn_n(job(), callback)
    await pool.join()
    assert future.result() == "callback"
    await assert_usable(pool)


class RefusesItsTraceback(Exception):
    @property
    def __traceback__(self) -> Any:  # type: ignore[override]
        raise LookupError


@pytest.mark.parametrize(
    "error",
    [SyntaxError("message", ("file", 1, "no offset", "text")), RefusesItsTraceback()],
    ids=["a place that is none", "no traceback"],
)
async def test_a_callback_is_called_with_an_error_that_cannot_be_formatted(
    error: Exception,
) -> None:
    async def callback(res: object, err: tuple[BaseException, str]) -> Any:
        return err

    pool = AioPool(1)
    [given, text] = await pool.exec(fails(error), callback)
    assert given is error
    assert text.startswith("Traceback (most recent call last):\n")
    assert "fails" in text
    await pool.join()


async def test_a_cancellation_that_comes_between_job_and_callback_reaches_the_callback() -> None:
    async def job() -> int:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return 1

    pool, gate = AioPool(1), Gate()
    future = pool.spawn_n(job(), gate.job)
    await asyncio.sleep(0)
    assert (await pool.cancel(future))[0] == 1
    assert future.cancelled()
    await assert_usable(pool)
