"""How many jobs may start in a time."""

import math
import operator
from collections.abc import Iterable
from dataclasses import KW_ONLY, dataclass
from numbers import Real
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Rate:
    """A limit on the starts of jobs.

    Without `burst` it is strict: in no half-open window of `per` seconds are there more than
    `limit` starts. With `burst` it is a bucket: that many starts at once, and then `limit` in each
    `per`, evenly.

    :param limit: how many starts, at least 1.
    :param per: in how many seconds, above 0. It is rounded to whole nanoseconds.
    :param burst: how many starts a full bucket holds, at least 1.
    :raises TypeError: if `limit` or `burst` is not an int, or `per` is not a number.
    :raises ValueError: if one of them is too low, or `per` is nan or infinite.
    """

    limit: int
    per: float
    _: KW_ONLY
    burst: int | None = None

    def __post_init__(self) -> None:
        _check_count("limit", self.limit)
        if self.burst is not None:
            _check_count("burst", self.burst)
        per = self.per
        if isinstance(per, bool) or not isinstance(per, Real):
            raise TypeError(f"per must be a number of seconds, such as 1.0, not {per!r}")
        if not 0 < per < math.inf:
            raise ValueError(f"per must be a number of seconds above 0, not {per!r}")

    @property
    def nanoseconds(self) -> int:
        """The time `per` as the pool counts it."""
        return max(1, round(min(self.per, _LONGEST) * 1_000_000_000))


# In seconds. No program runs so long, and the pool counts nanoseconds in 64 bits.
_LONGEST = 10**10

#: A rate, several that must all agree, or none.
Rates: TypeAlias = Rate | Iterable[Rate] | None


def _check_count(name: str, count: object) -> None:
    if isinstance(count, bool):
        raise TypeError(f"{name} must be an int, such as 10, not {count!r}")
    try:
        number = operator.index(count)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(f"{name} must be an int, such as 10, not {count!r}") from None
    if number < 1:
        raise ValueError(f"{name} must be at least 1, not {number}: pause the pool to stop it")
