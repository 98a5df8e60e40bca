"""Random numbers that come from a name alone, the same in Python and in Rust."""

import hashlib
import itertools
import struct
from collections.abc import Iterator


class Chance:
    """The numbers that SHA-256 makes of `name` and a counter."""

    def __init__(self, name: str) -> None:
        self._numbers = _numbers(name)

    def below(self, limit: int) -> int:
        """Return a whole number, 0 to `limit` - 1."""
        return next(self._numbers) % limit

    def share(self) -> float:
        """Return a number from 0 up to 1, of 53 bits as `random.random` has."""
        return (next(self._numbers) >> 11) / 2**53


def _numbers(name: str) -> Iterator[int]:
    for counter in itertools.count():
        yield from struct.unpack(">4Q", hashlib.sha256(f"{name}/{counter}".encode()).digest())
