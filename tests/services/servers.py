"""Runs a command beside a PostgreSQL and a Redis of its own, and stops them when it has ended.

    python tests/services/servers.py COMMAND...

They listen on free ports of the loopback, keep their files in a temporary folder, and the command
finds them by POSTGRES_URL and REDIS_URL. What is not installed comes from Debian's packages, where
this may be done.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_CONNECTIONS = 20
SECONDS_TO_START = 60


def main() -> int:
    command = sys.argv[1:]
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="aiopool-services-") as folder:
        Path(folder).chmod(0o755)
        with postgres(Path(folder)) as postgres_url, redis(Path(folder)) as redis_url:
            environment = os.environ | {"POSTGRES_URL": postgres_url, "REDIS_URL": redis_url}
            return subprocess.run(command, env=environment, check=False).returncode


@contextlib.contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """A PostgreSQL with a user who may not have the connections that it keeps for its own."""
    data, port = folder / "postgres", free_port()
    account = unprivileged("postgres")
    data.mkdir()
    if account:
        os.chown(data, account["user"], account["group"])
    initdb = [program("initdb", "postgresql"), "--auth=trust", "--username=admin"]
    subprocess.run([*initdb, "-D", data], check=True, stdout=subprocess.DEVNULL, **account)
    settings = {
        "port": port,
        "listen_addresses": "127.0.0.1",
        "unix_socket_directories": "",
        "max_connections": MAX_CONNECTIONS,
        "superuser_reserved_connections": 3,
        "fsync": "off",
        "log_min_messages": "panic",  # to refuse connections is what it is there for
    }
    arguments = [part for item in settings.items() for part in ("-c", "{}={}".format(*item))]
    command = [program("postgres", "postgresql"), "-D", data, *arguments]
    with running(command, port, stderr=subprocess.DEVNULL, **account):
        admin = f"postgresql://admin@127.0.0.1:{port}/postgres"
        psql = [program("psql", "postgresql"), "--quiet", admin]
        for _ in range(SECONDS_TO_START * 10):
            done = subprocess.run(
                [*psql, "-c", "CREATE ROLE guest LOGIN"], check=False, stderr=subprocess.DEVNULL
            )
            if done.returncode == 0:
                break
            time.sleep(0.1)
        else:
            raise TimeoutError("PostgreSQL does not answer")
        yield f"postgresql://guest@127.0.0.1:{port}/postgres"


@contextlib.contextmanager
def redis(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [program("redis-server", "redis-server"), "--bind", "127.0.0.1", "--port", str(port)]
    command += ["--save", "", "--appendonly", "no", "--dir", str(folder)]
    with running(command, port, stdout=subprocess.DEVNULL):
        yield f"redis://127.0.0.1:{port}/0"


@contextlib.contextmanager
def running(command: list[Any], port: int, **options: Any) -> Iterator[None]:
    """Runs a server that listens on this port."""
    server = subprocess.Popen(command, **options)
    try:
        until = time.monotonic() + SECONDS_TO_START
        while not listens(port):
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{command[0]} has not started")
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        try:
            server.wait(10)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def program(name: str, package: str) -> str:
    """Where a program of one of Debian's packages is; installs it if need be."""
    path = find(name)
    if path is None and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {package}", file=sys.stderr)
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(["apt-get", "-qq", "update"], check=True)
        subprocess.run(["apt-get", "-qq", "install", "-y", package], env=quiet, check=True)
        path = find(name)
    if path is None:
        raise SystemExit(f"{name} is needed and was not found: install it (Debian: {package})")
    return path


def find(name: str) -> str | None:
    # Debian has the programs of the PostgreSQL server in a folder for each version.
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))


def unprivileged(name: str) -> dict[str, int]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    try:
        account = pwd.getpwnam(name)
    except KeyError:
        account = pwd.getpwnam("nobody")
    return {"user": account.pw_uid, "group": account.pw_gid}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


if __name__ == "__main__":
    sys.exit(main())
