"""What users may use, as a list: to change it is a decision, and `CHANGELOG.md` tells of it.

That of the Rust crates stands in their `public-api.txt`. Types are looked at in `typing`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import is_dataclass
from types import GetSetDescriptorType, MemberDescriptorType

import aiopool

PUBLIC_API = """
AioPool(size=4, *, loop=None, reuse_tasks=False, eager=False, rate=None, per_key=None, per_key_rate=None, observer=None)
AioPool.__aenter__(self)
AioPool.__aexit__(self, exc_type, exc, tb)
AioPool.__len__(self)
AioPool.__repr__(self)
AioPool.cancel(self, *futures, get_result=flat)
AioPool.close(self, timeout=None, *, grace=1.0)
AioPool.enqueue(self, fn, /, *args, **kwargs)
AioPool.exec(self, coro, cb=None, ctx=None)
AioPool.is_empty
AioPool.is_full
AioPool.itermap(self, fn, iterable=<missing>, cb=None, ctx=None, *, flat=True, get_result=flat, timeout=None, yield_when='ALL_COMPLETED')
AioPool.join(self, *, waiting=True)
AioPool.loop
AioPool.map(self, fn, iterable=<missing>, cb=None, ctx=None, *, get_result=flat)
AioPool.map_n(self, fn, iterable=<missing>, cb=None, ctx=None)
AioPool.n_active
AioPool.n_executed
AioPool.n_waiting
AioPool.options(self, *, timeout=None, priority=None, key=None, weight=1, name=None)
AioPool.outside(self, awaitable)
AioPool.pause(self, seconds=None, *, key=None)
AioPool.rate
AioPool.resume(self, *, key=None)
AioPool.size
AioPool.sleep(self, seconds)
AioPool.spawn(self, coro, cb=None, ctx=None)
AioPool.spawn_n(self, coro, cb=None, ctx=None)
AioPool.stats(self)
AioPool.submit(self, fn, /, *args)
Event(kind, name=None, key=None, outcome=None, wait=None, run=None)
Event.key
Event.kind
Event.name
Event.outcome
Event.run
Event.wait
Job()
Job.add_done_callback(self, /, fn, *, context=None)
Job.cancel(self, /, msg=None)
Job.cancelled(self, /)
Job.done(self, /)
Job.exception(self, /)
Job.get_loop(self, /)
Job.name
Job.remove_done_callback(self, /, fn)
Job.result(self, /)
JobInfo(name, key, age)
JobInfo.age
JobInfo.key
JobInfo.name
JobTimeout(TimeoutError)
Rate(limit, per, *, burst=None)
Rate.burst
Rate.limit
Rate.nanoseconds
Rate.per
Report(finished, cancelled, unstarted, running, sources)
Report.cancelled
Report.finished
Report.running
Report.sources
Report.unstarted
Stats(size, active, waiting, outside, parked, started, succeeded, failed, cancelled, timed_out, wait_seconds, run_seconds, held_by)
Stats.active
Stats.cancelled
Stats.failed
Stats.held_by
Stats.outside
Stats.parked
Stats.run_seconds
Stats.size
Stats.started
Stats.succeeded
Stats.timed_out
Stats.wait_seconds
Stats.waiting
getres()
getres.dont(future)
getres.flat(future)
getres.pair(future)
iterwait(futures, *, flat=True, get_result=flat, timeout=None, yield_when='ALL_COMPLETED')
"""  # noqa: E501 (a line each)


def public_api() -> Iterator[str]:
    for name in sorted(aiopool.__all__):
        value = getattr(aiopool, name)
        if inspect.isclass(value) and issubclass(value, BaseException):
            yield f"{name}({value.__base__.__name__})"
            continue
        yield name + signature(value)
        for attribute in attributes(value) if inspect.isclass(value) else ():
            member = getattr(value, attribute)
            if is_public(attribute, member):
                is_value = isinstance(
                    member, property | MemberDescriptorType | GetSetDescriptorType
                )
                called = "" if is_value else signature(member)
                yield f"{name}.{attribute}{called}"


def attributes(value: type) -> list[str]:
    """Its own and inherited ones, but for those of every object, and of every dataclass."""
    names = {name for base in value.__mro__[:-1] for name in vars(base)}
    return sorted(name for name in names if not (is_dataclass(value) and name.startswith("__")))


def is_public(name: str, member: object) -> bool:
    if name.startswith("__"):
        hidden = ("__init__", "__annotate_func__")  # the second from 3.14 on
        return inspect.isfunction(member) and name not in hidden
    return not name.startswith("_")


def signature(function: object) -> str:
    """The names, kinds and defaults of the parameters."""
    assert callable(function)
    parameters = []
    for parameter in inspect.signature(function).parameters.values():
        default = parameter.default
        if inspect.isfunction(default):
            default = Named(default.__name__)
        parameters.append(parameter.replace(annotation=parameter.empty, default=default))
    return str(inspect.Signature(parameters))


class Named:
    """Prints as the name of a function, whose address says nothing."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return self.name


def test_the_public_api_is_what_is_written_down(reuse_tasks: bool) -> None:
    written = PUBLIC_API.strip()
    if reuse_tasks:  # as conftest.py sets the default
        written = written.replace("reuse_tasks=False", "reuse_tasks=True")
    assert list(public_api()) == written.splitlines()
