"""The crawl in examples/crawl, run small, as its users run it."""

import functools
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

CRAWL = Path(__file__).parents[2] / "examples" / "crawl"
pytestmark = pytest.mark.task_per_job("the example does not ask for reused tasks")

PYTHON = [sys.executable, "-X", "dev", "-W", "error"]

# Its pools let one job more in than they say.
LEAKY_CRAWL = f"""
import sys
sys.path.insert(0, {str(CRAWL)!r})
import crawler
from command import main
real_pool = crawler.AioPool
crawler.AioPool = lambda size: real_pool(size + 1)
sys.exit(main())
"""

# What the test of the Rust demo, in examples/crawl-rust/tests, expects as well.
SITE = "c17086e8526d9ef2b82e17c4f0586ec2c9d91cfe2b245a0d2990e67f97dcfda1"
DIGEST = f"""
import hashlib, sys
sys.path.insert(0, {str(CRAWL)!r})
from website import Website
website = Website(500, seed=-7)
pages = "".join(website.generate(number)[1] for number in range(500))
print(hashlib.sha256(pages.encode()).hexdigest())
"""


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PYTHON, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.fixture
def db(tmp_path: Path) -> Path:
    return tmp_path / "crawl.db"


@pytest.fixture
def long_crawl(db: Path) -> Iterator[subprocess.Popen[str]]:
    # What a shell runs in the background ignores Ctrl-C, and so does what that starts.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [*PYTHON, CRAWL, "--pages", "100000", "--db", db],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    pages = {
        "index.html": '<a href="a.html">a</a> <a href="/b.html#top">b</a> <a href="mailto:x">x</a>',
        "a.html": '<a href="b.html">b</a> <a href="http://elsewhere.invalid/">elsewhere</a>',
        "b.html": '<a href="http://[">broken</a> <a href="index.html">index</a>',
    }
    for name, html in pages.items():
        (tmp_path / name).write_text(html)
    handler = functools.partial(_QuietHandler, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()
        thread.join()


class _QuietHandler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


def table(output: str) -> dict[str, str]:
    rows = [re.split(" {2,}", line) for line in output.splitlines()]
    return {label: value.replace(",", "") for label, value in rows}


def fetched(rows: dict[str, str]) -> list[str]:
    return [rows[name] for name in ("pages", "links", "bytes")]


def read_back(rows: dict[str, str]) -> list[str]:
    return [rows[f"{name} read back from SQLite"] for name in ("pages", "links", "bytes")]


def stored(db: Path) -> list[str]:
    with closing(sqlite3.connect(db)) as connection:
        pages, size = connection.execute(
            "SELECT count(*), coalesce(sum(bytes), 0) FROM page"
        ).fetchone()
        (links,) = connection.execute("SELECT count(*) FROM link").fetchone()
    return [str(pages), str(links), str(size)]


def assert_quiet(errors: str) -> None:
    assert not re.search("Traceback|Warning|FAILED|never|destroyed", errors), errors


def test_the_table_agrees_with_the_database(db: Path) -> None:
    ended = run(CRAWL, "--pages", "60", "--size", "5", "--timeout", "2", "--db", db)
    assert ended.returncode == 0, ended.stderr
    assert_quiet(ended.stderr)
    rows = table(ended.stdout)
    assert fetched(rows) == read_back(rows) == stored(db)
    assert int(rows["pages"]) > 0
    assert {"errors: 404", "errors: 500", "errors: connection", "errors: timeout"} <= rows.keys()
    in_flight, size = rows["most requests in flight, counted by the server"].split(" of ")
    assert 1 <= int(in_flight) <= int(size) == 5


def test_a_pool_that_lets_too_many_in_is_found_out() -> None:
    ended = run("-c", LEAKY_CRAWL, "--pages", "60", "--size", "5", "--timeout", "2")
    assert ended.returncode == 1
    assert "FAILED: 6 requests were in flight in a pool of 5" in ended.stderr


def test_the_site_is_the_one_of_the_rust_demo() -> None:
    assert run("-c", DIGEST).stdout.strip() == SITE


def test_ctrl_c_keeps_what_is_stored(long_crawl: subprocess.Popen[str], db: Path) -> None:
    assert long_crawl.stderr
    for line in long_crawl.stderr:
        if re.match(r"fetched [\d,]{3}", line):
            break
    long_crawl.send_signal(signal.SIGINT)
    output, errors = long_crawl.communicate(timeout=60)
    assert long_crawl.returncode == 130, errors
    assert_quiet(errors)
    assert read_back(table(output)) == stored(db)
    assert int(stored(db)[0]) > 0


def test_ctrl_c_at_the_very_start(long_crawl: subprocess.Popen[str], db: Path) -> None:
    while long_crawl.poll() is None and not db.exists():
        time.sleep(0.001)
    long_crawl.send_signal(signal.SIGINT)
    output, errors = long_crawl.communicate(timeout=60)
    assert long_crawl.returncode == 130, errors
    assert_quiet(errors)
    assert read_back(table(output)) == stored(db)


def test_another_site_is_crawled_on_its_host_only(site: str, db: Path) -> None:
    ended = run(CRAWL, "--url", site, "--db", db)
    assert ended.returncode == 0, ended.stderr
    assert_quiet(ended.stderr)
    rows = table(ended.stdout)
    assert fetched(rows)[:2] == ["3", "4"]
    assert fetched(rows) == read_back(rows) == stored(db)
    assert not [label for label in rows if "errors" in label or "in flight" in label]


def test_a_site_that_is_not_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    ended = run(CRAWL, "--url", f"http://127.0.0.1:{port}/")
    assert ended.returncode == 1
    assert table(ended.stdout)["errors: connection"] == "1"
    assert ended.stderr == "FAILED: no page could be fetched\n"


@pytest.mark.parametrize(
    "options",
    [
        ["--size", "0"],
        ["--size", "many"],
        ["--pages", "-1"],
        ["--seed", "x"],
        ["--timeout", "0"],
        ["--timeout", "nan"],
        ["--url", "ftp://127.0.0.1/"],
        ["--url", "http://127.0.0.1:99999/"],
        ["--url", "127.0.0.1"],
        ["--db", "no/such/folder/crawl.db"],
        ["--db", "."],
        ["--unknown"],
    ],
    ids=" ".join,
)
def test_a_bad_option_is_told_in_one_line(options: list[str]) -> None:
    ended = run(CRAWL, *options)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert re.fullmatch(rf"crawl: .*{options[0]}.*\n", ended.stderr)
