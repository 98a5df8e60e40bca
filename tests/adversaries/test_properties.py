"""Random programs, run by the package and by a naive pool.

What must hold in any program is looked at while it runs, after every turn of the loop, and at its
end. A *calm* program acts only when nothing moves any more. Then what happens does not depend on
how many turns a pool takes for what, and must be the same in both.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import inspect
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from asyncio_pool import AioPool, getres
from naive_pool import NaivePool

Pool = AioPool | NaivePool
Name = tuple[int, ...]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
NewPool = Callable[[int], Pool]

TURNS_UNTIL_NOTHING_MOVES = 6
TURNS_BEFORE_A_PROGRAM_COUNTS_AS_HANGING = 3_000
BATCHES = [asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION]


# What a program is.


class Terse:
    """Prints as the call that makes it, without the defaults."""

    def __repr__(self) -> str:
        values = [(part, getattr(self, part.name)) for part in fields(self)]  # type: ignore[arg-type]
        told = [f"{part.name}={value!r}" for part, value in values if value != part.default]
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, repr=False)
class Script(Terse):
    """What a job or a callback does."""

    gated: bool = False
    turns: int = 0
    then: tuple[Act, ...] = ()
    raises: bool = False
    when_cancelled: str = "ends"
    turns_to_clean_up: int = 0
    #: Instead of all this, the function given to `map` raises.
    is_not_made: bool = False


@dataclass(frozen=True, repr=False)
class Act(Terse):
    """A call to the pool, or to what it gave: `pick` chooses among what there is."""

    verb: str
    jobs: tuple[Script, ...] = ()
    callback: Script | None = None
    callback_accepts: int = 1
    iterable_breaks: bool = False
    pick: int = 0


@dataclass(frozen=True, repr=False)
class Program(Terse):
    size: int
    acts: tuple[Act, ...]


ONE = ("spawn", "spawn_n", "exec")
AT_ONCE = ("spawn_n", "map_n")
ALL = (*ONE, "map", "map_n", "itermap")
OTHERS = ("open", "open", "give_up", "cancel", "cancel_all", "stop_caller", "stop_caller", "join")

# These are composed by hand, and of parts that are made once: what `st.builds` makes of parts in
# parts takes minutes to print, and short lists find little.
FLAGS = st.booleans()
DIGITS = st.integers(0, 9)
PICKS = st.integers(0, 63)
ENDS = st.sampled_from(["ends", "returns", "raises"])
LENGTHS = st.integers(1, 12)


@st.composite
def scripts(draw: st.DrawFn, then: st.SearchStrategy[Act] | None = None) -> Script:
    return Script(
        gated=draw(DIGITS) < 6,
        turns=draw(DIGITS) % 3,
        then=() if then is None else tuple(draw(then) for _ in range(draw(DIGITS) % 3)),
        raises=draw(FLAGS),
        when_cancelled=draw(ENDS),
        turns_to_clean_up=draw(DIGITS) % 3,
        is_not_made=draw(DIGITS) == 9,
    )


LEAVES = scripts()


@st.composite
def hand_ins(
    draw: st.DrawFn,
    verbs: tuple[str, ...],
    jobs: st.SearchStrategy[Script],
    most: int = 6,
    callbacks: st.SearchStrategy[Script] = LEAVES,
) -> Act:
    verb = verbs[draw(PICKS) % len(verbs)]
    count = 1 if verb in ONE else draw(DIGITS) % (most + 1)
    return Act(
        verb,
        jobs=tuple(draw(jobs) for _ in range(count)),
        callback=draw(callbacks) if draw(FLAGS) else None,
        callback_accepts=draw(DIGITS) % 3 + 1,
        iterable_breaks=verb not in ONE and draw(DIGITS) == 9,
        pick=draw(PICKS),
    )


@st.composite
def others(draw: st.DrawFn, *verbs: str) -> Act:
    return Act(verbs[draw(PICKS) % len(verbs)], pick=draw(PICKS))


# In a calm program one job at a time hands in others: when its gate is opened. And what the jobs
# of a `map` are in the midst of when its iterable breaks depends on turns.
CALM_JOBS = scripts(hand_ins(AT_ONCE, LEAVES, most=2)).filter(lambda job: job.gated or not job.then)
CALM_ACTS = st.one_of(hand_ins(ALL, CALM_JOBS), others(*OTHERS)).filter(
    lambda act: not (act.verb == "map" and act.iterable_breaks)
)
ACTS_AT_ONCE = st.one_of(hand_ins(AT_ONCE, CALM_JOBS), others("give_up"))

HASTY_JOBS = scripts(st.one_of(hand_ins(ALL, LEAVES, most=3), others("cancel_all")))
HASTY_ACTS = st.one_of(
    hand_ins(ALL, HASTY_JOBS, callbacks=HASTY_JOBS), others(*OTHERS), others("turn")
)


@st.composite
def calm_programs(draw: st.DrawFn) -> Program:
    acts = []
    for _ in range(draw(LENGTHS)):
        if draw(DIGITS) < 7:
            acts.append(draw(CALM_ACTS))
        else:
            acts += [draw(ACTS_AT_ONCE) for _ in range(draw(DIGITS) % 4 + 1)]
        acts.append(Act("settle"))
    return Program(draw(DIGITS) % 3 + 1, tuple(acts))


@st.composite
def hasty_programs(draw: st.DrawFn) -> Program:
    acts = [draw(HASTY_ACTS) for _ in range(draw(LENGTHS) * 2)]
    return Program(draw(DIGITS) % 3 + 1, tuple(acts))


# How it is played.


class Failure(Exception):
    """What the jobs, callbacks, functions and iterables of a program raise."""


@dataclass(eq=False)
class Job:
    name: Name
    script: Script
    callback: Script | None
    coro: Coroutine[Any, Any, Any] | None = None
    future: asyncio.Future[Any] | None = None
    #: Whether the pool knows of it; of an item of a `map` it does when it has pulled it.
    exists: bool = False
    began: bool = False
    called_back: bool = False
    #: Whether its holder has cancelled the future.
    given_up: bool = False
    #: Whether its `map` broke while it ran, and whether it was cancelled (for whatever reason).
    is_to_stop: bool = False
    was_cancelled: bool = False
    #: Whether a `cancel` of it has returned.
    stopped: bool = False
    #: What the last of its coroutines gave.
    outcome: object = field(default_factory=asyncio.CancelledError)


current_job = contextvars.ContextVar[Job]("current_job")


class Play:
    """A program in a pool, and what became of it."""

    def __init__(self, pool: Pool) -> None:
        self.pool: Any = pool
        self.jobs: dict[Name, Job] = {}
        self.callers: dict[Name, asyncio.Task[None]] = {}
        self.stopped_callers: set[Name] = set()
        self.gates: dict[Name, asyncio.Event] = {}
        #: In the order in which they took their places, and in which they began.
        self.line: list[Name] = []
        self.begun: list[Name] = []
        #: The jobs that are within a coroutine.
        self.running: set[Name] = set()
        self.executed = 0
        self.moves = 0
        self.turns_taken = 0
        self.was_idle = False
        self.is_over = False
        self.views: list[object] = []
        self.cancelled: dict[Name, object] = {}
        self.violations: list[str] = []

    def expect(self, condition: object, otherwise: str) -> None:
        """An assertion that no job and no pool can swallow."""
        if not condition:
            self.violations.append(otherwise)

    async def perform(self, program: Program) -> None:
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: self.expect(False, f"the loop complained: {context}")
        )
        try:
            for number, act in enumerate(program.acts):
                match act.verb:
                    case "settle":
                        await self.settle()
                    case "turn":
                        await self.turns(act.pick % 3)
                    case _:
                        self.act((number,), act)
            await self.end()
        finally:
            self.is_over = True

    async def end(self) -> None:
        """Opens all gates; cancels the jobs that wait for each other."""
        await self.settle()
        while self.gates or len(self.pool):
            self.act((-2, self.turns_taken), Act("open" if self.gates else "cancel_all"))
            await self.settle()
        self.act((-1,), Act("join"))
        await self.settle()
        self.check_end()

    async def turns(self, count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)
            self.turns_taken += 1
            assert self.turns_taken < TURNS_BEFORE_A_PROGRAM_COUNTS_AS_HANGING
            self.check_turn()

    async def settle(self) -> None:
        """Lets the loop turn until nothing moves any more."""
        still = 0
        while still < TURNS_UNTIL_NOTHING_MOVES:
            moves = self.moves
            await self.turns(1)
            still = still + 1 if self.moves == moves else 0
        length, active = len(self.pool), self.pool.n_active
        self.views.append((length, active, sorted(self.running), sorted(self.gates)))
        self.expect(
            active == len(self.running) == min(length, self.pool.size),
            f"when nothing moved, {length=}, {active=}, but {self.running=}",
        )

    # Acts.

    def act(self, name: Name, act: Act) -> None:
        held = [job for job in self.jobs.values() if job.future and not job.future.done()]
        pending = [name for name, caller in self.callers.items() if not caller.done()]
        match act.verb:
            case "open" if self.gates:
                self.gates[pick(sorted(self.gates), act)].set()
            case "give_up" if held:
                job = pick(held, act)
                job.given_up = job.future.cancel()
            case "cancel":
                chosen = [job for position, job in enumerate(held) if act.pick >> position & 1]
                if chosen:
                    self.call(name, self.cancel, name, chosen)
            case "cancel_all":
                self.call(name, self.cancel, name, None)
            case "stop_caller" if pending:
                stopped = pick(pending, act)
                self.callers[stopped].cancel()
                self.stopped_callers.add(stopped)
            case "join":
                self.call(name, self.join)
            case verb if verb in AT_ONCE:
                with contextlib.suppress(StopIteration):
                    self.hand_in(name, act).send(None)
            case verb if verb in ALL:
                self.call(name, self.hand_in, name, act)

    def call(self, name: Name, function: Callable[..., Any], *arguments: object) -> None:
        async def caller() -> None:
            try:
                await function(*arguments)
            finally:
                self.moves += 1

        self.callers[name] = asyncio.create_task(caller())

    async def cancel(self, name: Name, chosen: list[Job] | None) -> None:
        jobs = [job for job in chosen or self.jobs.values() if job.exists]
        count, results = await self.pool.cancel(*(job.future for job in chosen or ()))
        self.cancelled[name] = (count, sorted(map(described, results)))
        for job in jobs:
            job.stopped = True
            self.expect(job.name not in self.running, f"{job.name} runs though it was cancelled")

    async def join(self) -> None:
        jobs = [job for job in self.jobs.values() if job.exists]
        self.expect(await self.pool.join() is True, "join did not return True")
        for job in jobs:
            self.expect(job.name not in self.running, f"{job.name} runs after join")
            self.expect(job.future is None or job.future.done(), f"join left out {job.name}")

    async def hand_in(self, name: Name, act: Act) -> None:
        jobs = [Job((*name, n), script, act.callback) for n, script in enumerate(act.jobs)]
        self.jobs.update((job.name, job) for job in jobs)
        self.line += [job.name for job in jobs[:1]]
        self.moves += 1
        try:
            if act.verb == "cancel_all":
                await self.pool.cancel()
            elif act.verb in ONE:
                await self.hand_in_one(act, *jobs)
            else:
                await self.hand_in_many(act, jobs)
        except Failure as error:
            self.expect(act.iterable_breaks, f"{act.verb} raised {error!r}")
            for job in jobs:
                self.expect(
                    job.name not in self.running, f"{job.name} runs though its iterable broke"
                )

    async def hand_in_one(self, act: Act, job: Job) -> None:
        call = getattr(self.pool, act.verb)
        arguments = self.coroutine_of(job), self.callback_of(act), self
        match act.verb:
            case "spawn_n":
                job.future = call(*arguments)
            case "spawn":
                job.future = await call(*arguments)
                self.moves += 1
            case "exec":
                try:
                    result = await call(*arguments)
                except Failure as error:
                    result = error
                self.check_result(job, result)

    async def hand_in_many(self, act: Act, jobs: list[Job]) -> None:
        call = getattr(self.pool, act.verb)
        arguments = self.make, self.items(act, jobs), self.callback_of(act), self
        match act.verb:
            case "map_n":
                for job, future in zip(jobs, call(*arguments), strict=True):
                    job.future = future
            case "map":
                for job, result in zip(jobs, await call(*arguments), strict=True):
                    self.check_result(job, result)
            case "itermap":
                flat, when = act.pick % 2 == 0, BATCHES[act.pick % 3]
                results: list[object] = []
                async with aclosing(call(*arguments, flat=flat, yield_when=when)) as batches:
                    async for batch in batches:
                        results += [batch] if flat else batch
                        if act.pick >= 48:
                            return
                given = sorted(map(described, results))
                made = sorted(described(job.outcome) for job in jobs)
                self.expect(given == made, f"itermap gave {given}, not {made}")

    def items(self, act: Act, jobs: list[Job]) -> Iterator[Job]:
        """To pull an item gives the next one its place in line."""
        for position, job in enumerate(jobs, 1):
            self.line += [next_.name for next_ in jobs[position : position + 1]]
            yield job
        if act.iterable_breaks:
            for job in jobs:
                job.is_to_stop = job.name in self.running
            raise Failure
        for job in jobs:
            job.exists = True

    def make(self, job: Job) -> Coroutine[Any, Any, Any]:
        if job.script.is_not_made:
            job.exists = True
            job.outcome = Failure(job.name)
            raise job.outcome
        return self.coroutine_of(job)

    def coroutine_of(self, job: Job) -> Coroutine[Any, Any, Any]:
        job.exists = True
        job.coro = self.run_job(job)
        return job.coro

    # What the pool runs.

    async def run_job(self, job: Job) -> object:
        self.expect(not job.began, f"{job.name} began twice")
        job.began = True
        self.begun.append(job.name)
        current_job.set(job)
        return await self.run(job, job.script, job.name)

    def callback_of(self, act: Act) -> Callable[..., Any] | None:
        async def one(res: object) -> object:
            return await self.call_back(res)

        async def two(res: object, err: Any) -> object:
            return await self.call_back(res, err)

        async def three(res: object, err: Any, ctx: object) -> object:
            self.expect(ctx is self, "a callback got another ctx")
            return await self.call_back(res, err)

        return (one, two, three)[act.callback_accepts - 1] if act.callback else None

    async def call_back(self, res: object, *err: Any) -> object:
        job = current_job.get()
        self.expect(not job.called_back, f"{job.name} was called back twice")
        job.called_back = True
        failed = isinstance(job.outcome, BaseException)
        self.expect(res is (None if failed else job.outcome), f"a callback got {res}")
        for error in err:
            self.expect((error and error[0]) is (job.outcome if failed else None), f"got {error}")
        assert job.callback is not None
        return await self.run(job, job.callback, (*job.name, -1))

    async def run(self, job: Job, script: Script, name: Name) -> object:
        self.running.add(job.name)
        self.expect(len(self.running) <= self.pool.size, f"{self.running} run at once")
        self.move(job)
        try:
            job.outcome = await self.follow(job, script, name)
        except BaseException as error:
            job.outcome = error
            raise
        finally:
            self.running.remove(job.name)
            self.executed += 1
            self.move(job)
        return job.outcome

    async def follow(self, job: Job, script: Script, name: Name) -> object:
        try:
            if script.gated:
                await self.gate(name)
            await self.pause(job, script.turns)
            for position, act in enumerate(script.then):
                await self.hand_in((*name, position), act)
            raises = script.raises
        except asyncio.CancelledError:
            job.was_cancelled = True
            await self.pause(job, script.turns_to_clean_up)
            if script.when_cancelled == "ends":
                raise
            raises = script.when_cancelled == "raises"
        if raises:
            raise Failure(name)
        return name

    async def gate(self, name: Name) -> None:
        if self.is_over:  # after a failure, when the runner cancels what is left
            return
        self.gates[name] = asyncio.Event()
        try:
            await self.gates[name].wait()
        finally:
            del self.gates[name]

    async def pause(self, job: Job, turns: int) -> None:
        for _ in range(turns):
            await asyncio.sleep(0)
            self.move(job)

    def move(self, job: Job) -> None:
        self.moves += 1
        self.expect(not job.stopped, f"{job.name} moved after it was cancelled")

    # What must hold.

    def check_turn(self) -> None:
        length, active, size = len(self.pool), self.pool.n_active, self.pool.size
        self.expect(len(self.running) <= active <= size, f"{active=}, {self.running=}")
        unsettled = [job.name for job in self.jobs.values() if job.future and not job.future.done()]
        self.expect(len(unsettled) <= length, f"{length=}, but {unsettled} have not settled")
        is_idle = active < min(length, size)
        self.expect(not (is_idle and self.was_idle), "a slot stays free while somebody waits")
        self.was_idle = is_idle

    def check_result(self, job: Job, result: object) -> None:
        """A job settles with what the last of its coroutines gave; if none ran, cancelled."""
        self.expect(
            result is job.outcome or described(result) == described(job.outcome) == "cancelled",
            f"{job.name} settled with {result!r}, not {job.outcome!r}",
        )

    def check_end(self) -> None:
        for job in self.jobs.values():
            if job.coro is not None:
                state = inspect.getcoroutinestate(job.coro)
                self.expect(state == inspect.CORO_CLOSED, f"{job.name} is left {state}")
            if job.future is not None:
                result = getres.flat(job.future)
                self.check_result(job, job.outcome if job.given_up else result)
                self.expect(not job.given_up or job.future.cancelled(), f"{result} was given up")
            self.expect(job.was_cancelled or not job.is_to_stop, f"{job.name} was not stopped")
            self.expect(
                job.called_back == (job.began and job.callback is not None),
                f"{job.name}: {job.began=}, {job.called_back=}",
            )
        begun = set(self.begun)
        in_line = [name for name in self.line if name in begun]
        self.expect(self.begun == in_line, f"{self.begun} began, but {in_line} was the line")
        self.expect(self.pool.n_executed == self.executed, f"not {self.executed} executed")
        for name, caller in self.callers.items():
            self.expect(caller.done(), f"the caller {name} waits for ever")
            if name in self.stopped_callers:
                self.expect(caller.cancelled(), f"the caller {name} was stopped and is not")
            elif caller.cancelled():
                self.check_result(self.jobs[*name, 0], asyncio.CancelledError())
            elif caller.done():
                self.expect(not caller.exception(), f"the caller {name}: {caller.exception()!r}")
        left = asyncio.all_tasks() - {asyncio.current_task()}
        self.expect(not left, f"tasks are left: {left}")

    def has_ended(self, job: Job) -> bool:
        is_closed = job.coro is None or inspect.getcoroutinestate(job.coro) == inspect.CORO_CLOSED
        return is_closed and (job.future is None or job.future.done())

    def story(self) -> dict[str, object]:
        """What a calm program does in any pool."""
        return {
            "views": self.views,
            "begun": self.begun,
            "executed": self.pool.n_executed,
            "cancelled": self.cancelled,
            "callers": {name: caller.cancelled() for name, caller in self.callers.items()},
            "jobs": {
                job.name: (job.exists, job.began, job.given_up, described(job.outcome))
                for job in self.jobs.values()
            },
        }


def pick(choices: list[Any], act: Act) -> Any:
    return choices[act.pick % len(choices)]


def described(result: object) -> str:
    return "cancelled" if isinstance(result, asyncio.CancelledError) else repr(result)


def play(program: Program, new_pool: NewPool, new_loop: NewLoop) -> Play:
    with asyncio.Runner(loop_factory=new_loop) as runner:
        play = Play(new_pool(program.size))
        runner.run(play.perform(program))
    assert not play.violations, "\n".join(play.violations)
    return play


# The properties.


def asyncio_loop() -> asyncio.AbstractEventLoop:
    return asyncio.SelectorEventLoop()


def asyncio_debug_loop() -> asyncio.AbstractEventLoop:
    loop = asyncio.SelectorEventLoop()
    loop.set_debug(True)
    return loop


def uvloop_loop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop", reason="uvloop is not to be had on this platform")
    return uvloop.new_event_loop()  # type: ignore[no-any-return]


# Not the fixture of conftest.py: many examples run in what a fixture gives, and each needs a loop
# of its own.
on_every_loop = pytest.mark.parametrize(
    "new_loop",
    [asyncio_loop, asyncio_debug_loop, uvloop_loop],
    ids=["asyncio", "asyncio-debug", "uvloop"],
)
examples = settings(
    max_examples=120, derandomize=True, database=None, deadline=None, print_blob=True
)


def holds_what_is_promised(program: Program, new_pool: NewPool, new_loop: NewLoop) -> None:
    play(program, new_pool, new_loop)


def does_what_a_naive_pool_does(program: Program, new_pool: NewPool, new_loop: NewLoop) -> None:
    naive = play(program, NaivePool, new_loop)
    assert play(program, new_pool, new_loop).story() == naive.story()


@on_every_loop
@examples
@given(program=hasty_programs())
def test_any_program_finds_what_is_promised(new_loop: NewLoop, program: Program) -> None:
    holds_what_is_promised(program, NaivePool, new_loop)
    holds_what_is_promised(program, AioPool, new_loop)


@on_every_loop
@examples
@given(program=calm_programs())
def test_a_calm_program_finds_what_it_finds_in_a_naive_pool(
    new_loop: NewLoop, program: Program
) -> None:
    does_what_a_naive_pool_does(program, AioPool, new_loop)


@on_every_loop
@examples
@given(program=hasty_programs(), turns=st.integers(0, 40))
def test_any_program_may_end_in_the_midst_of_it(
    new_loop: NewLoop, program: Program, turns: int
) -> None:
    play = Play(AioPool(program.size))

    async def perform() -> None:
        end_after(turns, asyncio.current_task())
        await play.perform(program)

    with asyncio.Runner(loop_factory=new_loop) as runner:
        with contextlib.suppress(asyncio.CancelledError):
            runner.run(perform())
        begun = list(play.begun)
    gc.collect()
    assert play.begun == begun
    assert not [name for name, job in play.jobs.items() if not play.has_ended(job)]
    assert not play.running
    assert not play.violations, "\n".join(play.violations)


def end_after(turns: int, task: asyncio.Task[Any]) -> None:
    if turns:
        asyncio.get_running_loop().call_soon(end_after, turns - 1, task)
    else:
        task.cancel()


# That they can fail.


class LastComeFirstServed(NaivePool):
    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.line = Stack()


class Stack(deque[Any]):
    popleft = deque.pop


class OneSlotTooMany(NaivePool):
    def admit(self) -> None:
        self.size += 1
        super().admit()
        self.size -= 1


class ASlotLeftIdle(NaivePool):
    def admit(self) -> None:
        if len(self.active) != 1:
            super().admit()


class ASlotLostByCancel(NaivePool):
    def give_back(self, job: Any, coro: Any, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            super().give_back(job, coro, task)


class WithdrawnJobsStart(NaivePool):
    def withdraw(self, job: Any) -> None:
        pass


class NoCallbackAfterAnError(NaivePool):
    async def call_back(self, job: Any, result: object, error: BaseException | None) -> Any:
        if error is not None:
            raise error
        return await super().call_back(job, result, error)


class MapsStayInFront(NaivePool):
    def pull(self, running: Any) -> Any:
        job = super().pull(running)
        if job is not None:
            self.line.rotate()
        return job


class CancelDoesNotWait(NaivePool):
    async def ended(self, futures: list[asyncio.Future[Any]]) -> None:
        await super().ended([each for each in futures if not isinstance(each, asyncio.Task)])


class ExecLeavesItsJob(NaivePool):
    async def exec(self, coro: Any, cb: Any = None, ctx: object = None) -> Any:
        return await self.spawn_n(coro, cb, ctx)


class JoinDoesNotWait(NaivePool):
    async def join(self) -> bool:
        return True


@pytest.mark.parametrize(
    "broken",
    [
        LastComeFirstServed,
        OneSlotTooMany,
        ASlotLeftIdle,
        ASlotLostByCancel,
        WithdrawnJobsStart,
        NoCallbackAfterAnError,
        MapsStayInFront,
        CancelDoesNotWait,
        ExecLeavesItsJob,
        JoinDoesNotWait,
    ],
)
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_a_broken_pool_is_found_out(broken: type[NaivePool]) -> None:
    def breaks(promise: Callable[..., None], program: Program) -> bool:
        try:
            promise(program, broken, asyncio_loop)
        except AssertionError:
            return True
        return False

    once = settings(examples, phases=[Phase.generate])
    for programs, promise in [
        (hasty_programs(), holds_what_is_promised),
        (calm_programs(), does_what_a_naive_pool_does),
    ]:
        with contextlib.suppress(NoSuchExample):
            find(programs, partial(breaks, promise), settings=once)
            gc.collect()
            return
    pytest.fail(f"{broken.__name__} passes for a pool")
