"""What looks at jobs from outside: logs, traces, reports of errors, debuggers and profilers."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk
import sentry_sdk.transport
import structlog
from opentelemetry.instrumentation.asyncio import AsyncioInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sentry_sdk.integrations.asyncio import AsyncioIntegration, patch_asyncio

from asyncio_pool import AioPool

JOBS = 100


# structlog.


async def test_structlog_has_the_variables_of_the_caller_and_those_of_the_job() -> None:
    async def job(number: int) -> dict[str, Any]:
        before = structlog.contextvars.get_contextvars()
        structlog.contextvars.bind_contextvars(job=number)
        await asyncio.sleep(0)
        return {"before": before, "after": structlog.contextvars.get_contextvars()}

    async with AioPool(5) as pool:
        with structlog.contextvars.bound_contextvars(request="r1"):
            results: list[Any] = await pool.map(job, range(JOBS))
            later = pool.spawn_n(job(JOBS))
        assert structlog.contextvars.get_contextvars() == {}
        results.append(await later)
    for number, result in enumerate(results):
        assert result["before"] == {"request": "r1"}
        assert result["after"] == {"request": "r1", "job": number}


# OpenTelemetry.


@contextlib.contextmanager
def traced() -> Iterator[tuple[Any, InMemorySpanExporter]]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    instrumentor = AsyncioInstrumentor()
    instrumentor.instrument(tracer_provider=provider)
    try:
        yield provider.get_tracer("test"), exporter
    finally:
        instrumentor.uninstrument()
        provider.shutdown()


async def test_spans_of_opentelemetry_in_jobs_are_children_of_the_caller_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OTEL_PYTHON_ASYNCIO_COROUTINE_NAMES", "job")
    monkeypatch.setenv("OTEL_PYTHON_ASYNCIO_FUTURE_TRACE_ENABLED", "true")
    with traced() as (tracer, exporter):

        async def job(number: int) -> int:
            with tracer.start_as_current_span("work"):
                await asyncio.sleep(0)
            # What the instrumentation patches is used by the job as well.
            await asyncio.gather(asyncio.sleep(0), asyncio.create_task(asyncio.sleep(0)))
            return number

        async with AioPool(5) as pool:
            with tracer.start_as_current_span("caller"):
                assert await pool.map(job, range(JOBS)) == list(range(JOBS))
                futures = pool.map_n(job, range(JOBS))
            assert await asyncio.gather(*futures) == list(range(JOBS))
        spans = exporter.get_finished_spans()
    [caller] = [span for span in spans if span.name == "caller"]
    work = [span for span in spans if span.name == "work"]
    assert len(work) == 2 * JOBS
    for span in work:
        assert span.parent is not None
        assert span.context is not None
        assert span.context.trace_id == caller.get_span_context().trace_id  # type: ignore[union-attr]


# Sentry.


class Events(sentry_sdk.transport.Transport):
    """Keeps what would be sent."""

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.errors: list[tuple[str, str]] = []

    def capture_envelope(self, envelope: Any) -> None:
        event = envelope.get_event()
        if event is not None:
            error = event["exception"]["values"][0]["value"]
            self.errors.append((event.get("tags", {}).get("job"), error))


@contextlib.contextmanager
def reported() -> Iterator[Events]:
    """Sentry, whose task factory gives each task a scope of its own."""
    events = Events()
    sentry_sdk.init(
        dsn="http://public@127.0.0.1/1",
        transport=events,
        integrations=[AsyncioIntegration()],
        default_integrations=False,
        auto_enabling_integrations=False,
    )
    try:
        loop = asyncio.get_running_loop()
        if loop.get_task_factory() is None:  # `init` patches the first loop of a process only.
            patch_asyncio()
        assert loop.get_task_factory() is not None
        yield events
    finally:
        sentry_sdk.get_client().close()
        sentry_sdk.get_global_scope().set_client(None)


async def report(number: int) -> int:
    sentry_sdk.set_tag("job", str(number))
    await asyncio.sleep(0)
    try:
        raise LookupError(number)
    except LookupError:
        sentry_sdk.capture_exception()
    return number


def in_scope_of_its_own(number: int) -> Any:
    async def job() -> int:
        with sentry_sdk.isolation_scope():
            return await report(number)

    return job()


EXPECTED = [(str(number), str(number)) for number in range(JOBS)]


@pytest.mark.task_per_job("it is that mode that is tested")
async def test_a_task_per_job_gives_each_job_a_scope_of_sentry_s() -> None:
    with reported() as events:
        async with AioPool(5) as pool:
            assert await pool.map(report, range(JOBS)) == list(range(JOBS))
    assert sorted(events.errors) == sorted(EXPECTED)


@pytest.mark.reuse_tasks
async def test_reused_tasks_share_the_scope_of_the_caller_as_is_documented() -> None:
    with reported() as events:
        async with AioPool(5) as pool:
            assert await pool.map(report, range(JOBS)) == list(range(JOBS))
            shared = sorted(events.errors)
            events.errors.clear()
            assert await pool.map(in_scope_of_its_own, range(JOBS)) == list(range(JOBS))
    assert sorted(error for _, error in shared) == sorted(error for _, error in EXPECTED)
    assert shared != sorted(EXPECTED)
    assert sorted(events.errors) == sorted(EXPECTED)


async def test_jobs_in_tasks_of_sentry_s_factory_can_be_cancelled_and_can_fail() -> None:
    async def fails() -> None:
        raise LookupError

    with reported() as events:
        async with AioPool(5) as pool:
            futures = pool.map_n(lambda _: asyncio.sleep(3600), range(10))
            await asyncio.sleep(0)
            assert (await pool.cancel(*futures))[0] == 10
            with pytest.raises(LookupError):
                await pool.exec(fails())
    # The error of a job is a result, as with `gather`: who has it reports it.
    assert events.errors == []


# Debuggers and profilers, each with a program of its own.

PROGRAM = """
    import asyncio
    import os
    import sys
    import time

    from asyncio_pool import AioPool


    async def job(number):
        doubled = 2 * number
        await asyncio.sleep(0)
        if number == 2:
            look_here(doubled)
        return doubled


    def look_here(doubled):
        {look}


    async def main():
        async with AioPool(2, reuse_tasks={reuse_tasks}) as pool:
            print(await pool.map(job, range(5)))


    asyncio.run(main())
"""


@pytest.fixture
def write(tmp_path: Path, reuse_tasks: bool) -> Any:
    def write(look: str) -> Path:
        path = tmp_path / "program.py"
        path.write_text(textwrap.dedent(PROGRAM).format(look=look, reuse_tasks=reuse_tasks))
        return path

    return write


def test_pdb_stops_in_a_job_and_goes_on(write: Any) -> None:
    done = subprocess.run(
        [sys.executable, write("breakpoint()")],
        input="up\np ('number', number)\nwhere\ncontinue\n",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert "('number', 2)" in done.stdout
    assert "-> look_here(doubled)" in done.stdout
    assert "[0, 2, 4, 6, 8]" in done.stdout
    assert not done.stderr


def test_coverage_sees_all_lines_of_a_job(write: Any, tmp_path: Path) -> None:
    program, data, report = write("pass"), tmp_path / "data", tmp_path / "report.json"
    coverage = [sys.executable, "-m", "coverage"]
    options = [f"--data-file={data}", f"--include={program}"]
    subprocess.run([*coverage, "run", "--branch", *options, program], check=True, timeout=60)
    subprocess.run([*coverage, "json", *options, "-q", "-o", report], check=True, timeout=60)
    [file] = json.loads(report.read_text())["files"].values()
    assert file["missing_lines"] == []
    assert file["missing_branches"] == []


def test_py_spy_shows_the_job_that_runs(write: Any) -> None:
    look = 'print("here", flush=True); time.sleep(60)'
    program = subprocess.Popen([sys.executable, write(look)], stdout=subprocess.PIPE, text=True)
    try:
        assert program.stdout is not None
        assert program.stdout.readline() == "here\n"
        time.sleep(0.2)
        py_spy = Path(sys.executable).parent / "py-spy"
        dump = subprocess.run(
            [py_spy, "dump", "--pid", str(program.pid)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        program.kill()
        program.communicate()
    if "ermission denied" in dump.stderr or "not permitted" in dump.stderr:
        pytest.skip("this system lets no process look at another")
    functions = [line.split()[0] for line in dump.stdout.splitlines() if line.startswith("    ")]
    assert functions[:2] == ["look_here", "job"], dump.stdout + dump.stderr
