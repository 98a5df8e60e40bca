#!/usr/bin/env bash
# CPython 3.14.8 and 3.15.0, unittest.mock: AsyncMock(spec=function).
#
# Expected: inspect.signature tells what the mock may be called with: (*args, **kwargs), as it does
# up to 3.13 for the same mock, and as the mock of a method does on every version.
# Seen from 3.14 on: ValueError, "<AsyncMock ...>.__annotate__ returned a non-dict". inspect takes the
# mock for a function, because it claims to be one, and asks a child mock for the annotations.
#
# A library that asks callables how many arguments they accept refuses such a mock then, or calls it
# with the wrong number. Needs a CPython 3.14 or 3.15, named by PYTHON.
set -euo pipefail
python=${PYTHON:-python3.14}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv --without-pip "$work/venv"
"$work/venv/bin/python" - <<'PROGRAM'
import inspect
import sys
from unittest import mock


async def fetch(url):
    return url


assert sys.version_info >= (3, 14), "up to 3.13 the signature is (*args, **kwargs)"
try:
    signature = inspect.signature(mock.AsyncMock(spec=fetch))
except ValueError as error:
    print("ValueError:", str(error).split(".", 1)[1])
    assert "__annotate__ returned a non-dict" in str(error)
else:
    raise SystemExit(f"it has the signature {signature} now")
PROGRAM
