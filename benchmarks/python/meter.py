"""Wall time, CPU time and peak memory of a part of this process's life."""

import gc
import resource
import sys
import time
from pathlib import Path

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")


class Meter:
    """A measurement that has begun."""

    def __init__(self) -> None:
        gc.collect()
        self._resident = _resident()
        self._cpu = time.process_time()
        self._wall = time.perf_counter()

    def stop(self, jobs: int) -> dict[str, float]:
        """What the measured part has cost: seconds, and bytes above what was there before it."""
        wall = time.perf_counter() - self._wall
        cpu = time.process_time() - self._cpu
        return {"jobs": jobs, "wall": wall, "cpu": cpu, "peak": max(0, _peak() - self._resident)}


def _resident() -> int:
    if not STATUS.exists():
        # Elsewhere the peak cannot be reset: only what exceeds that of the start-up is seen.
        return _peak()
    # The kernel then counts the peak from what is resident now; it would begin with that of the
    # parent otherwise, which `exec` hands on.
    CLEAR_REFS.write_text("5")
    return _status("VmRSS:")


def _peak() -> int:
    if STATUS.exists():
        return _status("VmHWM:")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _status(name: str) -> int:
    [line] = [line for line in STATUS.read_text().splitlines() if line.startswith(name)]
    return int(line.split()[1]) * 1024
