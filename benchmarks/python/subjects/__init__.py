"""What is measured: one way of running many jobs with a limit, by this package or a peer.

A subject is named `family.verb`. The module of a family has the dict `SUBJECTS` of its verbs, and
is imported only in a process that runs one of them: two families have the same import name.
"""

from importlib import import_module

from subjects.limited import Limited
from subjects.subject import Subject, UnavailableError

MODULES = {
    "aiopool-rs": "ours",
    "aiopool-rs.reuse_tasks": "ours_reusing_tasks",
    "aiopool-rs.eager": "ours_eager",
    "asyncio-pool": "original",
    "aiometer": "by_aiometer",
    "aiostream": "by_aiostream",
    "tuskpool": "by_tuskpool",
    "asyncio-taskpool": "by_asyncio_taskpool",
    "anyio": "by_anyio",
    "gather": "by_gather",
    "TaskGroup": "by_task_group",
    "TaskGroup.eager": "by_eager_task_group",
    "workers": "by_workers",
    "aiopool-rs.limits": "limited_ours",
    "aiolimiter": "by_aiolimiter",
    "pyrate-limiter": "by_pyrate_limiter",
    "throttled-py": "by_throttled",
    "Semaphores": "by_semaphores",
    "PriorityQueue": "by_priority_queue",
}


def find(name: str) -> Subject | Limited:
    """The subject of that name.

    :raises UnavailableError: if it cannot be imported here; the message says why.
    """
    family, _, verb = name.rpartition(".")
    try:
        module = import_module(f"subjects.{MODULES[family]}")
    except ImportError as error:
        raise UnavailableError(f"cannot be imported: {error}") from error
    subject: Subject | Limited = module.SUBJECTS[verb]
    return subject
