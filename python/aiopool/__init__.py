"""A pool of asyncio jobs with a familiar interface.

    async with AioPool(size=20) as pool:
        results = await pool.map(fetch, urls)

`AioPool` keeps exactly `size` jobs active while any jobs wait. `Rate` and `options` limit them
further; `Event`, `Stats` and `Report` tell of them. A `Job` is what `enqueue` gives. `getres`
names the shapes that the results of many jobs can have. `iterwait` iterates over the results of
futures as they settle.
"""

from aiopool._close import JobInfo, Report
from aiopool._core import Enqueued as Job
from aiopool._observe import Event, Stats
from aiopool._rate import Rate
from aiopool._timeout import JobTimeout
from aiopool.compat import AioPool, getres, iterwait

__all__ = [
    "AioPool",
    "Event",
    "Job",
    "JobInfo",
    "JobTimeout",
    "Rate",
    "Report",
    "Stats",
    "getres",
    "iterwait",
]
