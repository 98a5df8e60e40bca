"""Our pool as it is by default: a task for each active job."""

from asyncio_pool import AioPool
from subjects.pools import verbs

SUBJECTS = verbs(AioPool)
