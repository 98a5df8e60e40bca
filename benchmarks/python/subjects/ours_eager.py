"""Our pool with jobs that make their first step at their start."""

import inspect
import sys
from functools import partial
from typing import Any

from asyncio_pool import AioPool
from subjects.pools import verbs
from subjects.subject import UnavailableError

if "eager" not in inspect.signature(AioPool).parameters:
    raise UnavailableError("AioPool has no eager in this checkout")
if sys.version_info < (3, 12):
    raise UnavailableError("eager tasks came with Python 3.12")

EAGER: dict[str, Any] = {"eager": True}
SUBJECTS = verbs(partial(AioPool, **EAGER))
