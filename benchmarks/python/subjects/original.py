"""asyncio-pool 0.6.0, from the folder that it is installed in: its import name is ours."""

import sys
from importlib.metadata import version
from pathlib import Path

from subjects.pools import verbs

FOLDER = Path(sys.prefix, "original")
sys.path.insert(0, str(FOLDER))

import asyncio_pool  # noqa: E402 (only now is it the other one)

if FOLDER not in Path(asyncio_pool.__file__).parents or version("asyncio-pool") != "0.6.0":
    raise ImportError(f"asyncio-pool 0.6.0 is not in {FOLDER.name}")

SUBJECTS = verbs(asyncio_pool.AioPool)
