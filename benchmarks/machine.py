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


def describe(pythons: dict[str, Path], *, rust: bool) -> dict[str, Any]:
    """Date, machine and versions.

    :param pythons: the interpreters of the benchmark by version.
    :param rust: whether Rust is measured too.
    """
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _output("git", "describe", "--always", "--dirty"),
        "machine": _machine(),
        "load": _load(),
        "pythons": {version: _packages(python) for version, python in pythons.items()},
        "rust": _crates() if rust else {},
    }


def _machine() -> str:
    cpu = _first(Path("/proc/cpuinfo"), r"model name\s*: (.*)") or platform.processor() or "CPU"
    memory = int(_first(Path("/proc/meminfo"), r"MemTotal:\s*(\d+)") or 0) / 2**20
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{cpu}, {os.cpu_count()} cores, {memory:.0f} GiB, {system}"


def _load() -> float | None:
    return round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None


def _packages(python: Path) -> dict[str, str]:
    listing = json.loads(_output(str(python), "-m", "pip", "list", "--format=json"))
    wanted = _required(Path("benchmarks/requirements.txt"))
    found = {package["name"]: package["version"] for package in listing}
    version = _output(str(python), "-c", "import platform; print(platform.python_version())")
    return {
        "CPython": version,
        **{name: found[name] for name in wanted if name in found},
        **_required(Path("benchmarks/requirements-original.txt")),
    }


def _required(file: Path) -> dict[str, str]:
    return dict(re.findall(r"^([\w-]+)==([\w.]+)", file.read_text(), re.MULTILINE))


def _crates() -> dict[str, str]:
    manifest = tomllib.loads(Path("benchmarks/rust/Cargo.toml").read_text())
    lock = tomllib.loads(Path("Cargo.lock").read_text())
    wanted = manifest.get("dependencies", {})
    crates = {crate["name"]: crate["version"] for crate in lock["package"]}
    versions = {name: crates[name] for name in sorted(wanted) if name in crates}
    return {"rustc": _output("rustc", "--version").split()[1], **versions}


def _first(file: Path, pattern: str) -> str | None:
    found = re.search(pattern, file.read_text()) if file.exists() else None
    return found and found[1]


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
