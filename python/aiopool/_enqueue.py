"""How a `Job` is printed."""

import reprlib
from typing import Any

from aiopool import _core


# A result may contain its job.
@reprlib.recursive_repr("<Job ...>")
def described(job: _core.Enqueued[Any]) -> str:
    """As asyncio prints a future, with the name of the job."""
    rest = ""
    if not job.done():
        state = "pending"
    elif job.cancelled():
        state = "cancelled"
    else:
        state = "finished"
        # Not by `exception()`: an error that was only printed is still to be reported.
        error = job._exception
        rest = f" result={reprlib.repr(job.result())}" if error is None else f" exception={error!r}"
    return f"<Job {state} name={job.name!r}{rest}>"
