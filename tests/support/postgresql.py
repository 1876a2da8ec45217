"""A PostgreSQL server for one test, where its programs are installed (`apt-get install postgresql`)."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def postgresql_server() -> Iterator[str]:
    """Start a server on 127.0.0.1 with an empty database; give its URL and stop it in the end."""
    programs = _programs()
    with tempfile.TemporaryDirectory(prefix="postgresql-") as scratch:
        account = "postgres" if os.geteuid() == 0 else None  # the server refuses to run as root
        if account:
            shutil.chown(scratch, account)
        data, port = Path(scratch) / "data", _free_port()

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            done = subprocess.run(
                command, user=account, cwd=scratch, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            assert done.returncode == 0, f"{program}: {done.stdout}"

        run("initdb", "-D", str(data), "-U", "tester", "-A", "trust", "--no-sync")
        options = f"-p {port} -h 127.0.0.1 -k {scratch} -c fsync=off"
        run("pg_ctl", "-D", str(data), "-w", "-l", f"{scratch}/log", "-o", options, "start")
        try:
            yield f"postgresql://tester@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "-D", str(data), "-w", "-m", "immediate", "stop")


def _programs() -> Path:
    found = shutil.which("pg_ctl")
    places = [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not places:
        pytest.skip("PostgreSQL is not installed here")
    return places[-1]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
