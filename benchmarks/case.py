"""One case: a subject, what it is given, and how it is run."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from typing import Any

#: A run that takes longer than this is stopped, recorded as such, and not repeated (seconds).
LIMIT = 120
#: A case whose run took longer than this has one run only (seconds).
LONG = 30


@dataclass(frozen=True)
class Case:
    """What is run in each round, in a process of its own."""

    face: str  #: "CPython 3.13" or "Rust"
    program: tuple[str, ...]  #: what is run, from the root of the checkout
    flavor: str  #: the loop or the runtime
    subject: str
    workload: str
    jobs: int
    slots: int

    @property
    def command(self) -> list[str]:
        """The command line."""
        numbers = ["--jobs", str(self.jobs), "--slots", str(self.slots)]
        return [*self.program, "run", self.subject, self.workload, self.flavor, *numbers]

    @property
    def label(self) -> str:
        """What `--only` is matched with."""
        where = f"{self.face} {self.flavor}"
        return f"{where} {self.subject} {self.workload} jobs={self.jobs} slots={self.slots}"

    def as_dict(self) -> dict[str, Any]:
        """What the raw results tell about the case itself."""
        return {
            "face": self.face,
            "flavor": self.flavor,
            "subject": self.subject,
            "workload": self.workload,
            "jobs": self.jobs,
            "slots": self.slots,
            "command": " ".join(self.command),
        }

    def run(self) -> dict[str, Any]:
        """Runs it once. What is in the way, if anything, is under `problem`."""
        try:
            done = subprocess.run(
                self.command, capture_output=True, text=True, timeout=LIMIT, check=False
            )
        except subprocess.TimeoutExpired:
            return {"problem": f"stopped after {LIMIT} s"}
        if done.returncode:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            return {"problem": f"failed with exit code {done.returncode}: {last}"}
        cost: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
        if "unavailable" in cost:
            return {"problem": f"left out: {cost['unavailable']}"}
        return cost
