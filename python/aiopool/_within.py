"""For which pools the running code works.

That is in a job, in a task that a job made, or in what these handed to other pools.

The contexts of jobs name their pools, and all these inherit the context.
"""

import weakref
from contextvars import Context, ContextVar

from aiopool import _core

# Weak references: a context may outlive a pool, and a pool holds contexts.
_POOLS: ContextVar[tuple["weakref.ref[_core.Pool]", ...]] = ContextVar("aiopool", default=())


# The priorities of the jobs in this context, for the pools in which it is not 0 for all.
_LEVELS: ContextVar[tuple[tuple["weakref.ref[_core.Pool]", int], ...]] = ContextVar(
    "aiopool_priority", default=()
)


def level(pool: _core.Pool) -> int:
    """The priority of the job of this pool for which the running code works; 0 if for none."""
    own = weakref.ref(pool)
    return next((level for found, level in _LEVELS.get() if found == own), 0)


def set_level(context: Context, pool: _core.Pool, level: int) -> None:
    """Notes the priority of a job in its context."""
    context.run(_note_level, pool, level)


def enter(context: Context, pool: _core.Pool) -> None:
    """Notes in the context of jobs that they are those of this pool."""
    context.run(_note, pool)


def is_within(pool: _core.Pool) -> bool:
    """Whether the running code works for a job of this pool."""
    return weakref.ref(pool) in _POOLS.get()


def _note(pool: _core.Pool) -> None:
    if not is_within(pool):
        left = [found for found in _POOLS.get() if found() is not None]
        _POOLS.set((*left, weakref.ref(pool)))


def _note_level(pool: _core.Pool, level: int) -> None:
    others = [noted for noted in _LEVELS.get() if noted[0]() not in {None, pool}]
    _LEVELS.set((*others, (weakref.ref(pool), level)))
