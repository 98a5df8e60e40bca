"""The raw results: a line of JSON about each part, followed by one for each of its cases."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from results import Result, Results


def read(path: Path) -> Results:
    """Those of the runner; none if it has written none."""
    results = Results({})
    programs: dict[str, str] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        found = json.loads(line)
        if "about" in found:
            programs |= found["programs"]
            results.about[found.pop("about")] = found
        else:
            found["runs"] = _rows(found["jobs"], found.pop("runs"))
            results.cases.append(Result(program=programs[found["face"]], **found))
    return results


def write(results: Results, path: Path) -> None:
    """Takes the place of what the file had."""
    path.write_text("".join(json.dumps(line) + "\n" for line in _lines(results)))


def _lines(results: Results) -> Iterator[dict[str, Any]]:
    for name, about in sorted(results.about.items()):
        yield {"about": name, **about}
        yield from map(_line, results.of(name))


def _line(case: Result) -> dict[str, Any]:
    """Nothing in it can be had from the rest."""
    line: dict[str, Any] = {name: getattr(case, name) for name in OF_CASE}
    if case.problem:
        line["problem"] = case.problem
    if case.long:
        line["long"] = True
    return line | {"runs": _columns(case.runs)}


def _columns(runs: list[dict[str, float]]) -> dict[str, list[float]]:
    """The same figure of all runs side by side, so that its name stands there once."""
    names = [name for name in (runs[0] if runs else ()) if name != "jobs"]
    return {name: [run[name] for run in runs] for name in names}


def _rows(jobs: int, runs: dict[str, list[float]]) -> list[dict[str, float]]:
    rows = zip(*runs.values(), strict=True)
    return [{"jobs": jobs, **dict(zip(runs, row, strict=True))} for row in rows]


OF_CASE = ("face", "flavor", "subject", "workload", "jobs", "slots")
