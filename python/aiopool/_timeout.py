"""The error of a job that has run for longer than its timeout."""

import asyncio


class JobTimeout(TimeoutError):  # noqa: N818 (as TimeoutError, and asyncio has no other)
    """A job has held its slots for longer than its `timeout`, and was cancelled for that.

    Its cause is the CancelledError, whose traceback shows where the job was then. A TimeoutError
    that the job raises by itself stays a TimeoutError.
    """


def timed_out(seconds: float, cancelled: BaseException) -> JobTimeout | None:
    """The error of a job that ends because its pool has cancelled it for its timeout.

    :returns: None if somebody else has cancelled the job too: then it ends as cancelled, as with
        `asyncio.timeout`.
    """
    task = asyncio.current_task()
    if isinstance(task, asyncio.Task) and task.uncancel() > 0:
        return None
    error = JobTimeout(f"the job has held its slots for {seconds:g} s")
    error.__cause__ = cancelled
    return error
