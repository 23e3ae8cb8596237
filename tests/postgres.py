"""A real PostgreSQL server for tests: made in a temporary folder, reached by its socket only, gone afterwards.

Use it as ``postgres = tests.postgres.postgres`` in a test module; without installed binaries the test is skipped.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

USER, PASSWORD = "affinity", "only-for-tests"
_QUICK = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "shared_buffers=16MB", "max_connections=20")


@dataclass(frozen=True)
class Postgres:
    """A running server.

    Attributes
    ----------
    uri : connection URI without a password; connecting needs PGPASSWORD in the environment.
    password : of the only user, who may do everything.
    """

    uri: str
    password: str


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One server a session; each test makes tables of its own."""
    with running_postgres() as server:
        yield server


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """Start a server as an ordinary user, which PostgreSQL insists on, and remove every trace of it at the end."""
    binaries = _binaries()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed: initdb and pg_ctl are neither on PATH nor in /usr/lib")
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    try:
        as_user = _ordinary_user(folder)
        data = folder / "data"
        (folder / "password").write_text(PASSWORD)
        (folder / "password").chmod(0o644)
        made = ["-D", str(data), "-U", USER, "-A", "scram-sha-256", f"--pwfile={folder}/password", "-E", "UTF8"]
        _run([*as_user, str(binaries / "initdb"), *made, "--locale=C", "--no-sync", "--no-instructions"], folder)
        options = " ".join(
            f"-c {option}" for option in (*_QUICK, "listen_addresses=", f"unix_socket_directories={folder}")
        )
        control = [*as_user, str(binaries / "pg_ctl"), "-D", str(data), "-w"]
        _run([*control, "-l", str(data / "log"), "-o", options, "start"], folder)
        try:
            yield Postgres(f"postgresql://{USER}@/postgres?host={folder}", PASSWORD)
        finally:
            _run([*control, "-m", "immediate", "stop"], folder)
    finally:
        shutil.rmtree(folder)


def _run(command: list[str], folder: Path) -> None:
    # pg_ctl leaves the server its output streams: a pipe would never be at its end
    with (folder / "said").open("w+") as said:
        done = subprocess.run(command, stdout=said, stderr=said, stdin=subprocess.DEVNULL, cwd=folder, check=False)
        said.seek(0)
        assert done.returncode == 0, said.read()


def _binaries() -> Path | None:
    found = shutil.which("pg_ctl")
    folders = [Path(found).parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((f for f in folders if (f / "initdb").exists() and (f / "pg_ctl").exists()), None)


def _ordinary_user(folder: Path) -> list[str]:
    """Return the prefix that runs a command as an ordinary user, who then owns the folder; nothing unless root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses to run as root, and there is no setpriv to become somebody else")
    nobody = pwd.getpwnam("nobody")
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    return ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]
