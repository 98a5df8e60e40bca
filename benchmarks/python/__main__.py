"""Lists the cases of the benchmark and runs one of them; what repeats and compares is elsewhere."""

import argparse
import asyncio
import json
from collections.abc import Callable
from typing import Any

import limits
from catalogue import cases
from subjects import find
from subjects.subject import UnavailableError
from workloads import WORKLOADS

ALL: dict[str, Callable[..., Any]] = {**WORKLOADS, **limits.WORKLOADS}
FLAVORS = ("asyncio", "uvloop")


def parse_arguments() -> argparse.Namespace:
    """The command line, checked."""
    parser = argparse.ArgumentParser(prog="python benchmarks/python", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="print the cases, each as a line of JSON")
    run = commands.add_parser("run", help="run a case once, and print its cost as a line of JSON")
    run.add_argument("subject", help="a subject of the list")
    run.add_argument("workload", choices=ALL)
    run.add_argument("flavor", choices=FLAVORS, help="the event loop")
    run.add_argument("--jobs", type=int, required=True, help="how many jobs")
    run.add_argument("--slots", type=int, required=True, help="how many of them may be active")
    return parser.parse_args()


def loop_factory(flavor: str) -> Callable[[], asyncio.AbstractEventLoop]:
    """What makes loops of that kind."""
    if flavor == "asyncio":
        return asyncio.new_event_loop
    try:
        import uvloop  # noqa: PLC0415 (only some cases need it)
    except ImportError as error:
        raise UnavailableError(f"uvloop cannot be imported: {error}") from error
    return uvloop.new_event_loop


def main() -> None:
    """Does what the command line asks for."""
    args = parse_arguments()
    if args.command == "list":
        for flavor in FLAVORS:
            for case in cases():
                print(json.dumps(case._asdict() | {"flavor": flavor}))
        return
    try:
        subject = find(args.subject)
        with asyncio.Runner(loop_factory=loop_factory(args.flavor)) as runner:
            workload = ALL[args.workload]
            print(json.dumps(runner.run(workload(subject, range(args.jobs), args.slots))))
    except UnavailableError as reason:
        print(json.dumps({"unavailable": str(reason)}))


main()
