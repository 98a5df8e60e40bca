"""The memory of a process of its own."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

on_linux = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="memory is read from the /proc of Linux"
)

SETUP = """
import asyncio, os
from asyncio_pool import AioPool

AioPool.__init__.__kwdefaults__["reuse_tasks"] = bool(os.environ["REUSE_TASKS"])
JOBS = 1_000_000

def memory(name):
    with open("/proc/self/status") as status:
        [line] = [line for line in status if line.startswith(name)]
    return int(line.split()[1]) * 1024

async def job(item):
    return item
"""


def measured(script: str) -> float:
    """What a script prints that runs in a process of its own, after the setup above."""
    command = [sys.executable, "-c", SETUP + textwrap.dedent(script)]
    return float(subprocess.check_output(command, timeout=300))
