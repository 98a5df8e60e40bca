#!/usr/bin/env bash
# throttled-py 3.5.0 on CPython 3.11.7, its two algorithms in memory that are asked for most.
#
# Expected: of 10 in a second, at most 10 pass in any second, as its sliding window promises; or 19, as
# a bucket of 10 that gets 10 a second may let through. Seen: 20 within a quarter of a second with the
# bucket, which counts whole seconds, and more than 10 within a second with the sliding window, which
# takes the second before for evenly filled.
#
# PYTHON names the interpreter.
set -euo pipefail
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check throttled-py==3.5.0
"$work/venv/bin/python" - <<'PROGRAM'
import time
from datetime import timedelta

from throttled import Throttled, rate_limiter, store


def most(using, window):
    quota = rate_limiter.per_duration(timedelta(seconds=1), 10)
    throttle = Throttled(key="key", using=using, quota=quota, store=store.MemoryStore())
    # The end of a second of the clock that it reads.
    time.sleep(1 - time.time() % 1 + 0.85)
    passed = []
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        if not throttle.limit().limited:
            passed.append(time.monotonic())
        time.sleep(0.001)
    return max(sum(at <= other < at + window for other in passed) for at in passed)


bucket, sliding = most("token_bucket", 0.25), most("sliding_window", 1)
print("bucket:", bucket, "within 0.25 s; sliding window:", sliding, "within 1 s")
if bucket <= 12 and sliding <= 10:
    raise SystemExit("neither lets more through any more")
PROGRAM
