"""Notices that all jobs of a pool wait for others that cannot start, and lets one of them outside.

A job that waits for its own pool by a verb does so outside. What waits in another way, such as by a
future or through another pool, is found here: by what the tasks of the jobs await.
"""

import asyncio
import concurrent.futures
import contextvars
import gc
import warnings
import weakref
from collections.abc import Iterable
from inspect import isasyncgen, isgenerator
from pathlib import Path
from types import CoroutineType, FrameType
from typing import Any, cast

from aiopool import _core
from aiopool._job import JobFuture, run_job

_OURS = str(Path(__file__).parent / "_")[:-1]
_ASYNCIO = str(Path(asyncio.__file__).parent / "_")[:-1]
_LIBRARIES = (_OURS, _ASYNCIO)
# What these wait for is what a user has given them. It may be an awaitable without a frame.
_RUN_CODE_OF_USERS = {run_job.__code__.co_filename}

# The names that asyncio gives to what a future follows.
_CHAINED = {"inner", "source"}
# What holds up those who wait, in the words of `stats`, where it is no matter of time.
_HELD_BY_JOBS = {"slots", "keys"}
# A reused task awaits a `Worker`, which stands for the coroutine of its job.
_COROUTINES = {CoroutineType, _core.Worker}
# In seconds.
_PERIOD = 1.0


class _Watch:
    """The callback of a timer of the loop, which has the pools look in which somebody waits.

    All pools of a loop share it. Only the loop holds it, and only while there are such pools.
    """

    def __init__(self) -> None:
        self.pools = weakref.WeakSet[_core.Pool]()

    def set(self, loop: asyncio.AbstractEventLoop) -> None:
        _WATCHES[loop] = weakref.ref(self)
        # Not in the context of a job: the timer would keep that alive.
        contextvars.Context().run(loop.call_later, _PERIOD, self)

    def __call__(self) -> None:
        for pool in list(self.pools):
            if not pool.look_for_stall():
                self.pools.discard(pool)
        if self.pools:
            self.set(asyncio.get_running_loop())


def watch(pool: _core.Pool, loop: asyncio.AbstractEventLoop) -> None:
    """Has a pool look after a time, and again until it says that nobody waits."""
    found = _WATCHES.get(loop)
    watch = found() if found is not None else None
    if watch is None:
        watch = _Watch()
        watch.set(loop)
    watch.pools.add(pool)


def let_one_out(pool: _core.Pool, guesses: bool) -> None:
    """Lets the job outside that has begun first, if no job of the pool can go on without others.

    Also if all jobs of a key are so, and somebody waits for that key.

    :param guesses: whether nothing has started or ended for a while, so that also those may wait
        for ever of whom that can only be guessed.
    """
    held_by = pool.stats()[3]
    if held_by not in _HELD_BY_JOBS:
        return
    jobs = pool.slot_holders()
    if held_by == "slots" and jobs:
        look = _Look(pool, guesses)
        if all(look.task(task) for _, task, _ in jobs):
            _let_out(*jobs[0][:2])
            return
    for awaited in dict.fromkeys(key for _, _, key in jobs if key is not None):
        look = _Look(pool, guesses)
        of_key = [(job, task) for job, task, key in jobs if key == awaited]
        if all(look.task(task) for _, task in of_key):
            _let_out(*of_key[0])


def _let_out(job: _core.Job, task: asyncio.Task[Any]) -> None:
    awaited: Any = getattr(task, "_fut_waiter", None)
    frame = _frame(task, _LIBRARIES)
    # Before its own wake-up, so that it has its slots when it goes on.
    wakeups: list[tuple[Any, Any]] = list(getattr(awaited, "_callbacks", None) or ())
    for wakeup, _ in wakeups:
        awaited.remove_done_callback(wakeup)
    awaited.add_done_callback(_EndsLetOut(job), context=contextvars.Context())
    for wakeup, context in wakeups:
        awaited.add_done_callback(wakeup, context=context)
    job.let_out()
    message = (
        f"the job {_name(task)!r} holds a slot and waits for jobs that cannot start without slots "
        "of this pool: it is let outside. In the task of the job itself, wait for them by exec, map"
        " or itermap, or put pool.outside(...) around all that it awaits here"
    )
    try:
        if frame is None:
            warnings.warn(message, RuntimeWarning, stacklevel=1)
        else:
            names = frame.f_globals
            warnings.warn_explicit(
                message,
                RuntimeWarning,
                frame.f_code.co_filename,
                frame.f_lineno,
                module=names.get("__name__", "<string>"),  # as Python has it
                # With it Python tells each line once, unless a filter says otherwise.
                registry=names.setdefault("__warningregistry__", {}),
            )
    except Warning as error:  # a filter makes an error of it, which nobody here could catch
        loop = asyncio.get_running_loop()
        loop.call_exception_handler({"message": message, "exception": error, "task": task})


class _EndsLetOut:
    """Gives a job its slots again that was let out."""

    def __init__(self, job: _core.Job) -> None:
        self._job = job

    def __call__(self, _: object) -> None:
        self._job.end_let_out()


class _Look:
    """Asks who waits, in the end, for a job that waits in this pool or in one that is stuck too."""

    def __init__(self, pool: _core.Pool, guesses: bool) -> None:
        # Whether to look at what may end without the end of a job, such as `wait`.
        self._guesses = guesses
        # Who waits in a circle waits for ever.
        self._tasks = dict[int, bool]()
        self._pools = {pool: True}

    def task(self, task: Any) -> bool:
        awaited = getattr(task, "_fut_waiter", None)
        if awaited is None or task.done() or awaited.done():
            return False
        if id(task) not in self._tasks:
            self._tasks[id(task)] = True
            self._tasks[id(task)] = (
                self._future(awaited)
                or self._through(_frame_of_itermap(task) or _frame(task))
                or self._next_of(*_as_completed(task))
            )
        return self._tasks[id(task)]

    def _future(self, future: Any) -> bool:
        if future.done():
            return False
        if isinstance(future, asyncio.Task):
            return self.task(future)
        if isinstance(future, _JOBS):
            owner: Any = getattr(future, "_owner", None)
            if isinstance(owner, _core.Pool):
                return self._pool(owner)
            return isinstance(owner, _core.Job) and self.task(owner.task)
        if isinstance(future, _SUBMITTED):
            job = getattr(future, "job", None)  # of `submit`
            return job is not None and self._future(job)
        # Of a `gather`.
        return self._any(getattr(future, "_children", ())) or self._any(_chained_to(future))

    def _any(self, awaited: Iterable[Any]) -> bool:
        return any(map(self._future, awaited))

    def _next_of(self, futures: set[Any], timeout: Any) -> bool:
        if self._guesses:
            return self._any(futures)
        return bool(futures) and timeout is None and all(map(self._future, futures))

    def _through(self, frame: FrameType | None) -> bool:
        """Looks at what the function waits for that is suspended last."""
        if frame is None:
            return False
        names = frame.f_locals
        file = frame.f_code.co_filename
        if file in _RUN_CODE_OF_USERS:
            return False
        if file.startswith(_OURS):
            if "future" in names:  # of `spawn`
                return self._future(names["future"])
            items = names.get("items") or names.get("source")  # of `map`, `itermap` and `iterwait`
            if isinstance(items, _core.Items):
                return self._items(items)
            if items is not None:
                # A job of the pool is outside meanwhile, and needs a slot to come back.
                pool = names.get("pool")
                return self._any(getattr(items, "pending", ())) or (
                    isinstance(pool, _core.Pool) and self._pool(pool)
                )
            waiting = names.get("job") or names.get("core")
            pool = getattr(waiting, "pool", waiting)
            return isinstance(pool, _core.Pool) and self._pool(pool)
        if not self._guesses:
            return False
        # Code of users has variables of these names, too.
        owner, is_asyncio = names.get("self"), file.startswith(_ASYNCIO)
        tasks: Any = getattr(owner, "_tasks", None) if type(owner).__name__ == "TaskGroup" else None
        # Of `wait` and `wait_for`.
        futures: Any = (names.get("fs") or names.get("fut")) if is_asyncio else None
        if asyncio.isfuture(futures):
            return self._future(futures)
        found: Any = tasks or futures
        return isinstance(found, set | list | tuple | dict) and self._any(
            future for future in cast(Iterable[Any], found) if asyncio.isfuture(future)
        )

    def _items(self, items: _core.Items) -> bool:
        tasks = items.tasks
        if not tasks:
            return self._pool(items.pool)
        return all(map(self.task, tasks))

    def _pool(self, pool: _core.Pool) -> bool:
        """Whether nothing starts in a pool before one goes on that is stuck."""
        if pool not in self._pools:
            self._pools[pool] = True
            jobs = pool.slot_holders()
            held = pool.stats()[3] in _HELD_BY_JOBS
            self._pools[pool] = held and all(self.task(task) for _, task, _ in jobs)
        return self._pools[pool]


class _Search(_Look):
    """Asks who waits, in the end, for a task."""

    def __init__(self, pool: _core.Pool, sought: Any) -> None:
        super().__init__(pool, guesses=True)
        self._sought = sought

    def task(self, task: Any) -> bool:
        if task is self._sought:
            return True
        if id(task) in self._tasks:
            return False
        return super().task(task)

    def _items(self, items: _core.Items) -> bool:
        return any(map(self.task, items.tasks))

    def _pool(self, pool: _core.Pool) -> bool:
        return False


def waiting_for(sought: Any, jobs: list[tuple[_core.Job, Any]]) -> list[_core.Job]:
    """Those of these jobs, each with its task, that wait for a task, be it through other tasks."""
    return [job for job, task in jobs if _Search(job.pool, sought).task(task)]


def _coroutines(task: Any) -> Iterable[Any]:
    coroutine: Any = getattr(task, "get_coro", lambda: None)()
    while type(coroutine) in _COROUTINES:
        yield coroutine
        coroutine = coroutine.cr_await


def _frame_of_itermap(task: Any) -> FrameType | None:
    """The frame of the `itermap` that a task waits for.

    The step of a generator has no attribute that leads to the generator, but refers to it.
    """
    awaited = next((last.cr_await for last in reversed(list(_coroutines(task)))), None)
    while awaited is not None:
        is_step = type(awaited).__name__ == "async_generator_asend"
        referents: list[Any] = gc.get_referents(awaited) if is_step else []
        generator: Any = next(filter(isasyncgen, referents), None)
        if generator is None:
            return None
        frame: FrameType | None = generator.ag_frame
        if frame is not None and frame.f_code.co_filename.startswith(_OURS):
            return frame
        awaited = generator.ag_await
    return None


def _as_completed(task: Any) -> tuple[set[Any], Any]:
    """The futures for the first of which a task waits by `as_completed`, and the timer of that."""
    chain: list[Any] = [None, None, *_coroutines(task)]
    callers, waits = chain[:-2], chain[-2]
    name = getattr(waits, "__qualname__", "")
    if name == "_AsCompletedIterator._wait_for_one":
        iterator = waits.cr_frame.f_locals["self"]
        return iterator._todo, iterator._timeout_handle
    if name == "as_completed.<locals>._wait_for_one":
        # Up to 3.12 only the generator has them, over which one of the callers loops.
        owners = [getattr(caller, "coroutine", caller) for caller in callers]
        for found in gc.get_referents(*owners):
            if isgenerator(found) and found.__name__ == "as_completed" and found.gi_frame:
                names = found.gi_frame.f_locals
                return names["todo"], names["timeout_handle"]
    return set(), None


def _chained_to(future: Any) -> Iterable[Any]:
    """What a future of `shield` or `wrap_future` waits for, which its callback has."""
    for callback, _ in getattr(future, "_callbacks", None) or ():
        code = getattr(callback, "__code__", None)
        if code is not None and code.co_filename.startswith(_ASYNCIO):
            for name, cell in zip(code.co_freevars, callback.__closure__ or (), strict=True):
                if name in _CHAINED:
                    yield cell.cell_contents


def _frame(task: Any, outside_of: tuple[str, ...] = ()) -> FrameType | None:
    """The frame in which a task is suspended, or the last that is in none of these folders."""
    frame = None
    for coroutine in _coroutines(task):
        found = coroutine.cr_frame
        if found is not None and not found.f_code.co_filename.startswith(outside_of):
            frame = found
    return frame


def _name(task: Any) -> str:
    return next((coroutine.__qualname__ for coroutine in _coroutines(task)), repr(task))


_SUBMITTED: Any = concurrent.futures.Future
_JOBS: Any = (JobFuture, _core.Enqueued)
_WATCHES = weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, "weakref.ref[_Watch]"]()
