"""Which subjects are given which workloads, with how many jobs and slots."""

from collections.abc import Iterator
from typing import NamedTuple

VERBS = ("spawn", "spawn_n", "map", "map_n", "itermap")
OURS = ("aiopool-rs", "aiopool-rs.reuse_tasks")
POOLS = (*OURS, "asyncio-pool")
TASK_GROUPS = ("TaskGroup.semaphore_before", "TaskGroup.semaphore_inside")
#: From Python 3.12 on.
EAGER = ("aiopool-rs.eager.spawn_n", "aiopool-rs.eager.map", "TaskGroup.eager.semaphore_before")
LIMITED_PEERS = (
    "aiometer.run_on_each",
    "aiometer.amap",
    "aiostream.map",
    "aiostream.map_ordered",
    "tuskpool.create_task",
    "tuskpool.map",
    "tuskpool.as_completed",
    "asyncio-taskpool.map",
    "anyio.limiter",
    "gather.semaphore",
    "TaskGroup.semaphore_before",
)
LIMITS = "aiopool-rs.limits"
FLOOR = "workers.shared_iterator"

SLOTS = 1_000
GROWTH = (10**3, 10**4, 10**5, 10**6)


class Case(NamedTuple):
    """What is run, once."""

    subject: str
    workload: str
    jobs: int
    slots: int = SLOTS


def cases() -> Iterator[Case]:
    """All that make sense, workload by workload, so that those compared run close together."""
    for workload, jobs in (("ready", 10_000), ("yield_once", 100_000)):
        for subject in (
            *of_pools(*VERBS),
            *of_ours("enqueue"),
            *LIMITED_PEERS,
            "gather.unlimited",
            FLOOR,
        ):
            yield Case(subject, workload, jobs)
    for workload in ("ready", "nine_of_ten_ready"):
        for subject in EAGER:
            yield Case(subject, workload, 100_000)
    for workload in ("latency", "latency_yield_once"):
        for slots in (10, 100, 1_000):
            for subject in (*of_ours("spawn", "spawn_n", "map", "itermap"), *TASK_GROUPS):
                yield Case(subject, workload, 20_000, slots)
    for jobs in GROWTH:
        for subject in (*of_pools("map", "itermap"), "aiometer.amap", "tuskpool.map", FLOOR):
            yield Case(subject, "growth", jobs)
    for subject in (*of_pools("spawn_n", "itermap"), *of_ours("enqueue"), "gather.semaphore"):
        yield Case(subject, "waiting", 10**6)
    # A million of its tasks take more than 6 GB.
    yield Case("anyio.limiter", "waiting", 10**5)
    for subject in (
        *of_pools("itermap"),
        "aiometer.amap",
        "aiostream.map",
        "tuskpool.as_completed",
    ):
        yield Case(subject, "first_result", 10**6)
    for subject in (*of_pools("spawn_n"), "gather.semaphore", "anyio.limiter"):
        yield Case(subject, "cancel", 10**5 + SLOTS)
    for subject in (*of_pools("spawn", "spawn_n", "map", "itermap"), FLOOR):
        yield Case(subject, "load_test", 10**5)
    for subject in (*of_pools("map"), "aiometer.run_on_each", "gather.semaphore", FLOOR):
        yield Case(subject, "http", 20_000, slots=100)
    yield from of_limits()


def of_limits() -> Iterator[Case]:
    """Those of the group "limits"."""
    peers = [
        f"{peer}{where}"
        for peer in ("aiolimiter.", "pyrate-limiter.", "throttled-py.", "throttled-py.window_")
        for where in ("pool", "TaskGroup")
    ]
    windows = [f"{LIMITS}.{verb}" for verb in ("window", "reused_window")]
    for subject in (*windows, *peers):
        yield Case(subject, "strictness", 400)
    for subject in (*windows, f"{LIMITS}.bucket", "aiolimiter.alone", *peers):
        yield Case(subject, "rate", 4_000)
    by_key = [f"{LIMITS}.{verb}" for verb in ("spawn_n", "map_n", "map")]
    by_hand = ["Semaphores.pool", "Semaphores.TaskGroup"]
    for slots in (SLOTS, 12_000):  # In the second, jobs wait for their keys only.
        for subject in (*by_key, *by_hand):
            yield Case(subject, "keys", 30_000, slots)
    for workload in ("waiting_keyed", "waiting_keyless"):
        for subject in (f"{LIMITS}.spawn_n", f"{LIMITS}.map_n", "Semaphores.pool"):
            yield Case(subject, workload, 10**6, slots=10)
    for number in (2, 3, 32, 201):
        for subject in (f"{LIMITS}.priorities", "PriorityQueue.worker"):
            yield Case(subject, "levels", number, slots=1)


def of_pools(*verbs: str) -> list[str]:
    """These verbs of this package, in both its ways, and of asyncio-pool 0.6.0."""
    return [f"{pool}.{verb}" for verb in verbs for pool in POOLS]


def of_ours(*verbs: str) -> list[str]:
    """Those of this package alone."""
    return [f"{pool}.{verb}" for verb in verbs for pool in OURS]
