"""A random program, played with a pool: what must hold in any program is looked at meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from asyncio_pool import AioPool, getres
from loops import NewLoop
from naive_pool import NaivePool
from programs import ALL, AT_ONCE, ONE, Act, Program, Script

Pool = AioPool | NaivePool
Name = tuple[int, ...]
NewPool = Callable[[int], Pool]

TURNS_UNTIL_NOTHING_MOVES = 6
TURNS_BEFORE_A_PROGRAM_COUNTS_AS_HANGING = 3_000
BATCHES = [asyncio.ALL_COMPLETED, asyncio.FIRST_COMPLETED, asyncio.FIRST_EXCEPTION]


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
    is_enqueued: bool = False
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
        self.queue: list[Name] = []
        self.begun: list[Name] = []
        #: The jobs that are within a coroutine.
        self.running: set[Name] = set()
        self.executed = 0
        self.moves = 0
        self.turns_taken = 0
        self.was_idle = False
        self.had_ended = 0
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
                # That of a job by `enqueue` stops it, and it may end otherwise.
                stops = job.is_enqueued and job.name in self.running
                job.given_up = job.future.cancel() and not stops
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
        self.queue += [job.name for job in jobs[:1]]
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
        if act.verb == "enqueue":
            job.exists = job.is_enqueued = True
            job.future = call(self.make, job)
            return
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
        """To pull an item gives the next one its place in the queue."""
        for position, job in enumerate(jobs, 1):
            self.queue += [next_.name for next_ in jobs[position : position + 1]]
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
                # Nobody would cancel a callback that waits for its own slot after the runner has
                # cancelled all tasks.
                if act.verb in AT_ONCE or not self.is_over:
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
        free = min(length, size) - active
        # At most those that have come free since the last turn. Callbacks and withdrawn jobs count
        # as ends too, which only makes the check weaker.
        ended = self.executed + len(self.jobs) - len(unsettled)
        have_come_free = ended - self.had_ended if self.was_idle else free
        self.expect(free <= have_come_free, "a slot stays free while somebody waits")
        self.was_idle, self.had_ended = free > 0, ended

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
        in_queue = [name for name in self.queue if name in begun]
        # In an eager pool a job of `map_n` begins, and hands in others, before the next one waits.
        if not AioPool.__init__.__kwdefaults__["eager"]:
            self.expect(self.begun == in_queue, f"{self.begun} began, but {in_queue} was the queue")
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


def holds_what_is_promised(program: Program, new_pool: NewPool, new_loop: NewLoop) -> None:
    play(program, new_pool, new_loop)


def does_what_a_naive_pool_does(program: Program, new_pool: NewPool, new_loop: NewLoop) -> None:
    naive = play(program, NaivePool, new_loop)
    assert play(program, new_pool, new_loop).story() == naive.story()
