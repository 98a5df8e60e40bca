"""One case: a subject, what it is given, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass

#: A run that takes longer than this is stopped, recorded as such, and not repeated (seconds).
LIMIT = 120
#: A case whose run took longer than this has one run only (seconds).
LONG = 30

#: The groups, each of which is measured by itself: what a job costs, and what limits do and cost.
JOBS, LIMITS = GROUPS = ("jobs", "limits")
#: The workloads of the second.
OF_LIMITS = {"strictness", "rate", "keys", "waiting_keyed", "waiting_keyless", "levels"}


@dataclass(frozen=True)
class Case:
    """What is run in each round, in a process of its own."""

    face: str  #: "CPython 3.13" or "Rust"
    program: str  #: what is run, from the root of the checkout
    flavor: str  #: the loop or the runtime
    subject: str
    workload: str
    jobs: int
    slots: int

    @property
    def group(self) -> str:
        """The one that its workload belongs to."""
        return LIMITS if self.workload in OF_LIMITS else JOBS

    @property
    def command(self) -> str:
        """The command line."""
        numbers = f"--jobs {self.jobs} --slots {self.slots}"
        return f"{self.program} run {self.subject} {self.workload} {self.flavor} {numbers}"

    @property
    def label(self) -> str:
        """What `--only` is matched with."""
        where = f"{self.face} {self.flavor}"
        return f"{where} {self.subject} {self.workload} jobs={self.jobs} slots={self.slots}"
