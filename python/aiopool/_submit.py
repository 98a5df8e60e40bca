"""Handing in jobs from other threads."""

import asyncio
import contextlib
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

from aiopool import _core


def submitted(
    verbs: _core.Verbs, fn: Callable[..., Awaitable[Any]], args: tuple[Any, ...]
) -> Future[Any]:
    mail, loop = verbs.mail(fn, args)
    future = _Future(loop)
    # Before others can hold the delivery: one that is dropped cancels its future.
    if mail.post(_Delivery(mail, future)):
        # Not in the context of the caller, which the loop would keep alive.
        contextvars.Context().run(_announce, mail.pool, loop)
    return future


def _announce(core: _core.Pool, loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.call_soon_threadsafe(_Wake(core))
    except RuntimeError:
        # It was closed meanwhile, and `_Wake` has returned the mail.
        if not loop.is_closed():
            raise
        raise RuntimeError(f"the loop of this pool, {loop}, is closed") from None


class _Future(Future[Any]):
    """The future of a submitted job. Cancelling it stops the job in every state."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self.job: _core.Enqueued[Any] | None = None

    def cancel(self) -> bool:
        if not super().cancel():
            return False
        job = self.job
        if job is not None:
            # A loop that is closed has ended all its jobs.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(job.cancel)
        return True

    def result(self, timeout: float | None = None) -> Any:
        self._check_thread(timeout)
        return super().result(timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        self._check_thread(timeout)
        return super().exception(timeout)

    def _check_thread(self, timeout: float | None) -> None:
        if timeout != 0 and not self.done() and asyncio._get_running_loop() is self._loop:
            raise RuntimeError(
                "this would stop the loop that runs the job, and so wait for ever: write "
                "`await asyncio.wrap_future(future)`, in a job of the pool "
                "`await pool.outside(asyncio.wrap_future(future))`"
            )


class _Delivery:
    """Hands in the job of a future, and tells the future how the job has ended.

    No future is left pending: one whose job the loop cannot tell of any more gets the outcome of
    the job, or is cancelled, when this is dropped.
    """

    __slots__ = ("_future", "_job", "_mail")

    def __init__(self, mail: _core.Mail, future: _Future) -> None:
        self._mail: _core.Mail | None = mail
        self._future: _Future | None = future
        self._job: _core.Enqueued[Any] | None = None

    def deliver(self) -> None:
        mail, future, self._mail = self._mail, self._future, None
        if mail is None or future is None:
            return
        if future.cancelled():
            self._tell(None)
            return
        try:
            job = self._job = mail.hand_in()
        except BaseException as error:
            self._future = None
            if not future.set_running_or_notify_cancel():
                return
            # Without this frame, which leads to the future.
            traceback = error.__traceback__
            future.set_exception(error.with_traceback(traceback and traceback.tb_next))
            return
        future.job = job
        job.add_done_callback(self._tell, context=contextvars.Context())
        if future.cancelled():  # by another thread, which has not seen the job
            job.cancel()

    def _tell(self, job: _core.Enqueued[Any] | None) -> None:
        future, self._future, self._job = self._future, None, None
        if future is None:
            return
        future.job = None
        if job is None or not job.done() or job.cancelled():
            future.cancel()
            job = None
        # From here on it cannot be cancelled any more. If it is, those who wait for it hear of it.
        if not future.set_running_or_notify_cancel() or job is None:
            return
        error = job.exception()
        if error is None:
            future.set_result(job.result())
        else:
            future.set_exception(error)

    def __del__(self) -> None:
        self._tell(self._job)


class _Wake:
    """Has the mail read. If the loop is closed before it comes to that, nobody will read it."""

    __slots__ = ("_pool",)

    def __init__(self, pool: _core.Pool) -> None:
        self._pool: _core.Pool | None = pool

    def __call__(self) -> None:
        pool, self._pool = self._pool, None
        if pool is not None and pool.read_mail():
            self._pool = pool
            asyncio.get_running_loop().call_soon(self)

    def __del__(self) -> None:
        if self._pool is not None:
            self._pool.take_mail()  # dropped: see `_Delivery`
