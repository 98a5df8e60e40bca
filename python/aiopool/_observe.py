"""What a pool tells of itself: its numbers, and its events."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal[
    "queued", "started", "outside", "back", "finished", "paused", "resumed", "resized", "closed"
]
How: TypeAlias = Literal["succeeded", "failed", "cancelled", "timed_out"]


@dataclass(frozen=True, slots=True)
class Event:
    """What has happened in a pool.

    :param kind: what it was. A job is `"queued"`, may be `"started"`, and is `"finished"`: each
        once. In between it goes `"outside"` and comes `"back"`. The others are about the pool, or
        about one key.
    :param name: the name of the job; None if it is not about a job.
    :param key: the key of the job, or the key that was paused or resumed.
    :param outcome: how the job ended, if it is `"finished"`.
    :param wait: for how many seconds the job waited, if it is `"started"` or `"finished"`.
    :param run: for how many seconds the job, with its callback, was active, if it is `"finished"`;
        0 if it has never started.
    """

    kind: Kind
    name: str | None = None
    key: Hashable = None
    outcome: How | None = None
    wait: float | None = None
    run: float | None = None


Observer: TypeAlias = Callable[[Event], object]


@dataclass(frozen=True, slots=True)
class Stats:
    """The numbers of a pool at one moment.

    :param size: the number of slots.
    :param active: how many jobs hold slots.
    :param waiting: how many jobs wait; a running `map` counts as one, beside its items that wait
        for themselves.
    :param outside: how many jobs have begun and hold no slots, until they have them again.
    :param parked: how many of the waiting jobs wait for their key, and let others pass.
    :param started: how many jobs have started so far.
    :param succeeded: how many jobs have returned, with their callbacks.
    :param failed: how many jobs, or their callbacks, have raised an error.
    :param cancelled: how many jobs were cancelled, before their start or after it.
    :param timed_out: how many jobs have ended with `JobTimeout`.
    :param wait_seconds: for how long the jobs that have started waited, all together; None if the
        pool has no observer.
    :param run_seconds: for how long the jobs that have ended were active, all together; None if the
        pool has no observer.
    :param held_by: what the next waiting job waits for: too few `"slots"` are free, the `"rate"` of
        the pool, the `"pause"` of the pool, or all who wait wait for their `"keys"`. None if no job
        waits for slots, be it to start or to come back from outside.
    """

    size: int
    active: int
    waiting: int
    outside: int
    parked: int
    started: int
    succeeded: int
    failed: int
    cancelled: int
    timed_out: int
    wait_seconds: float | None
    run_seconds: float | None
    held_by: Literal["slots", "rate", "pause", "keys"] | None
