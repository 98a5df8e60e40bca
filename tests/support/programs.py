"""Random programs: what jobs and callers do with a pool.

A *calm* program acts only when nothing moves any more, a *hasty* one at any time.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from hypothesis import settings
from hypothesis import strategies as st

examples = settings(
    max_examples=120, derandomize=True, database=None, deadline=None, print_blob=True
)


class Terse:
    """Prints as the call that makes it, without the defaults."""

    def __repr__(self) -> str:
        values = [(part, getattr(self, part.name)) for part in fields(self)]  # type: ignore[arg-type]
        told = [f"{part.name}={value!r}" for part, value in values if value != part.default]
        return f"{type(self).__name__}({', '.join(told)})"


@dataclass(frozen=True, repr=False)
class Script(Terse):
    """What a job or a callback does."""

    gated: bool = False
    turns: int = 0
    then: tuple[Act, ...] = ()
    raises: bool = False
    when_cancelled: str = "ends"
    turns_to_clean_up: int = 0
    #: Instead of all this, the function given to `map` or `enqueue` raises.
    is_not_made: bool = False


@dataclass(frozen=True, repr=False)
class Act(Terse):
    """A call to the pool, or to what it gave: `pick` chooses among what there is."""

    verb: str
    jobs: tuple[Script, ...] = ()
    callback: Script | None = None
    callback_accepts: int = 1
    iterable_breaks: bool = False
    pick: int = 0


@dataclass(frozen=True, repr=False)
class Program(Terse):
    size: int
    acts: tuple[Act, ...]


ONE = ("spawn", "spawn_n", "enqueue", "exec")
AT_ONCE = ("spawn_n", "enqueue", "map_n")
ALL = (*ONE, "map", "map_n", "itermap")
OTHERS = ("open", "open", "give_up", "cancel", "cancel_all", "stop_caller", "stop_caller", "join")

# These are composed by hand, and of parts that are made once: what `st.builds` makes of parts in
# parts takes minutes to print, and short lists find little.
FLAGS = st.booleans()
DIGITS = st.integers(0, 9)
PICKS = st.integers(0, 63)
ENDS = st.sampled_from(["ends", "returns", "raises"])
LENGTHS = st.integers(1, 12)


@st.composite
def scripts(draw: st.DrawFn, then: st.SearchStrategy[Act] | None = None) -> Script:
    return Script(
        gated=draw(DIGITS) < 6,
        turns=draw(DIGITS) % 3,
        then=() if then is None else tuple(draw(then) for _ in range(draw(DIGITS) % 3)),
        raises=draw(FLAGS),
        when_cancelled=draw(ENDS),
        turns_to_clean_up=draw(DIGITS) % 3,
        is_not_made=draw(DIGITS) == 9,
    )


LEAVES = scripts()


@st.composite
def hand_ins(
    draw: st.DrawFn,
    verbs: tuple[str, ...],
    jobs: st.SearchStrategy[Script],
    most: int = 6,
    callbacks: st.SearchStrategy[Script] = LEAVES,
) -> Act:
    verb = verbs[draw(PICKS) % len(verbs)]
    count = 1 if verb in ONE else draw(DIGITS) % (most + 1)
    return Act(
        verb,
        jobs=tuple(draw(jobs) for _ in range(count)),
        callback=draw(callbacks) if verb != "enqueue" and draw(FLAGS) else None,
        callback_accepts=draw(DIGITS) % 3 + 1,
        iterable_breaks=verb not in ONE and draw(DIGITS) == 9,
        pick=draw(PICKS),
    )


@st.composite
def others(draw: st.DrawFn, *verbs: str) -> Act:
    return Act(verbs[draw(PICKS) % len(verbs)], pick=draw(PICKS))


# In a calm program one job at a time hands in others: when its gate is opened. And what the jobs
# of a `map` are in the midst of when its iterable breaks depends on turns.
CALM_JOBS = scripts(hand_ins(AT_ONCE, LEAVES, most=2)).filter(lambda job: job.gated or not job.then)
CALM_ACTS = st.one_of(hand_ins(ALL, CALM_JOBS), others(*OTHERS)).filter(
    lambda act: not (act.verb == "map" and act.iterable_breaks)
)
ACTS_AT_ONCE = st.one_of(hand_ins(AT_ONCE, CALM_JOBS), others("give_up"))

# Jobs that wait for others of their pool stand before all others: `trees.py` has these.
HASTY_JOBS = scripts(hand_ins(AT_ONCE, LEAVES, most=3))
HASTY_ACTS = st.one_of(
    hand_ins(ALL, HASTY_JOBS, callbacks=HASTY_JOBS), others(*OTHERS), others("turn")
)


@st.composite
def calm_programs(draw: st.DrawFn) -> Program:
    acts = []
    for _ in range(draw(LENGTHS)):
        if draw(DIGITS) < 7:
            acts.append(draw(CALM_ACTS))
        else:
            acts += [draw(ACTS_AT_ONCE) for _ in range(draw(DIGITS) % 4 + 1)]
        acts.append(Act("settle"))
    return Program(draw(DIGITS) % 3 + 1, tuple(acts))


@st.composite
def hasty_programs(draw: st.DrawFn) -> Program:
    acts = [draw(HASTY_ACTS) for _ in range(draw(LENGTHS) * 2)]
    return Program(draw(DIGITS) % 3 + 1, tuple(acts))
