"""Our pool with tasks that take one job after another."""

import inspect
from functools import partial
from typing import Any

from asyncio_pool import AioPool
from subjects.pools import verbs
from subjects.subject import UnavailableError

if "reuse_tasks" not in inspect.signature(AioPool).parameters:
    raise UnavailableError("AioPool has no reuse_tasks in this checkout")

REUSING: dict[str, Any] = {"reuse_tasks": True}
SUBJECTS = verbs(partial(AioPool, **REUSING))
