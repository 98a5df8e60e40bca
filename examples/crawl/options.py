"""The options of the command line, checked."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from page import is_web


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}\n")


def parse_options() -> argparse.Namespace:
    """Read the command line; a bad option ends the program with one line and exit code 2."""
    parser = _Parser(
        prog="crawl",
        description="Crawl a web site with one pool that fetches pages and one that stores them"
        " in SQLite. Without --url the site is generated, and served on loopback.",
        epilog="Exit code: 0 if the server never counted more requests in flight than --size and"
        " every fetched page is in the database, 1 if not, 2 for a bad option, 130 after Ctrl-C.",
    )
    parser.add_argument(
        "--pages",
        type=_whole(1, 1_000_000),
        default=3000,
        metavar="N",
        help="pages of the generated site, broken ones not counted;"
        " with --url, the number of URLs to stop at (default: %(default)s)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        default=0,
        metavar="N",
        help="any whole number; the same one gives the same site (default: %(default)s)",
    )
    parser.add_argument(
        "--size",
        type=_whole(1, 400),
        default=20,
        metavar="N",
        help="size of the pool that fetches: requests at a time, 1 to 400 (default: %(default)s)",
    )
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=3.0,
        metavar="SECONDS",
        help="time after which a request is given up (default: %(default)s)",
    )
    parser.add_argument(
        "--url",
        type=_url,
        metavar="URL",
        help="http or https page to start at; only links to its host are followed"
        " (default: the first page of the generated site)",
    )
    parser.add_argument(
        "--db",
        type=Path,
        metavar="PATH",
        help="SQLite file to create and keep (default: a temporary one)",
    )
    options = parser.parse_args()
    if options.db:
        try:
            options.db.touch(exist_ok=False)
        except OSError as error:
            parser.error(f"argument --db: cannot create {options.db}: {error.strerror}")
    return options


def _whole(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not (text.isdecimal() and least <= int(text) <= most):
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, {least} to {most}")
        return int(text)

    return parse


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return seconds


def _url(text: str) -> str:
    if not is_web(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not an http or https URL")
    return text
