#!/usr/bin/env bash
# CPython 3.11.7, 3.12.1, 3.13.0, 3.14.8 and 3.15.0, functools.singledispatchmethod.
#
# Expected: inspect.signature of the method of an instance leaves out `self`, which is bound, as it
# does for every other method. Seen: it is (self, item), and for a class method (cls, item), while a
# call takes one argument. The static one is right.
#
# A library that asks callables how many arguments they accept hands in one too many. PYTHON names the
# interpreter.
set -euo pipefail
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv --without-pip "$work/venv"
"$work/venv/bin/python" - <<'PROGRAM'
import inspect
from functools import singledispatchmethod


class Handler:
    @singledispatchmethod
    def handle(self, item):
        return item

    @singledispatchmethod
    @classmethod
    def of_class(cls, item):
        return item

    @singledispatchmethod
    @staticmethod
    def static(item):
        return item

    def plain(self, item):
        return item


handler = Handler()
seen = {}
for name in ("handle", "of_class", "static", "plain"):
    method = getattr(handler, name)
    assert method(1) == 1
    seen[name] = str(inspect.signature(method))
print(seen)
assert seen == {
    "handle": "(self, item)",
    "of_class": "(cls, item)",
    "static": "(item)",
    "plain": "(item)",
}, "the signatures have changed"
PROGRAM
