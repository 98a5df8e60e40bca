#!/usr/bin/env bash
# rloop 0.5.0 on CPython 3.11.7 (Linux x86_64).
#
# Expected: asyncio.Runner with a loop of rloop closes what the loop has opened, as those of asyncio
# and uvloop do: a program that runs with warnings as errors prints nothing.
# Seen: at the end of every run, ResourceWarning of an unclosed socket pair, from rloop's own
# `_ssock_stop`, which sets the socket to None without closing it. It needs no job and no signal.
#
# PYTHON names the interpreter.
set -euo pipefail
python=${PYTHON:-python3}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install --quiet --disable-pip-version-check rloop==0.5.0
"$work/venv/bin/python" -X dev - 2>"$work/told" <<'PROGRAM'
import asyncio
import gc

import rloop


async def main():
    await asyncio.sleep(0)


with asyncio.Runner(loop_factory=rloop.new_event_loop) as runner:
    runner.run(main())
gc.collect()
PROGRAM
grep "ResourceWarning: unclosed <socket" "$work/told" || {
    echo "no socket is left unclosed any more" >&2
    exit 1
}
