"""What the benchmark was run on, and with which versions."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import time
import tomllib
from pathlib import Path
from typing import Any


def describe(versions: dict[str, dict[str, str]]) -> dict[str, Any]:
    """Date, machine and versions.

    :param versions: those of each Python by its own, or of the crates.
    """
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "machine": _machine(),
        "load": _load(),
        "versions": versions,
    }


def packages(python: Path) -> dict[str, str]:
    """The versions of a Python and of the packages that are measured."""
    listing = json.loads(_output(str(python), "-m", "pip", "list", "--format=json"))
    wanted = _required(Path("benchmarks/requirements.txt"))
    found = {package["name"]: package["version"] for package in listing}
    version = _output(str(python), "-c", "import platform; print(platform.python_version())")
    return {
        "CPython": version,
        **{name: found[name] for name in wanted if name in found},
        **_required(Path("benchmarks/requirements-original.txt")),
    }


def crates() -> dict[str, str]:
    """The versions of the compiler and of the crates that are measured."""
    manifest = tomllib.loads(Path("benchmarks/rust/Cargo.toml").read_text())
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    wanted = manifest.get("dependencies", {})
    found = {crate["name"]: crate["version"] for crate in lock["package"]}
    versions = {name: found[name] for name in sorted(wanted) if name in found}
    return {"rustc": _output("rustc", "--version").split()[1], **versions}


def modules() -> dict[str, str]:
    """The versions of Node and of the modules that are measured."""
    wanted = json.loads(Path("benchmarks/node/package.json").read_text())["dependencies"]
    return {"node": _output("node", "--version").lstrip("v"), **wanted}


def _machine() -> str:
    cpu = _first(Path("/proc/cpuinfo"), r"model name\s*: (.*)") or platform.processor() or "CPU"
    memory = int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)") or 0) / 2**20
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{cpu}, {os.cpu_count()} cores{_pinned()}, {memory:.0f} GiB, {system}"


def _pinned() -> str:
    """Whether what is measured may not use all cores, which it inherits."""
    if not hasattr(os, "sched_getaffinity"):
        return ""
    cores = os.sched_getaffinity(0)
    return "" if len(cores) == os.cpu_count() else f" of which {len(cores)} may be used"


def _load() -> float | None:
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _required(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==([\w.]+)", file.read_text(), re.MULTILINE))


def _first(file: Path, pattern: str) -> str | None:
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found and found[1]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
