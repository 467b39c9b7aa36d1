"""A PostgreSQL server of a test's own: Debian's programs, a directory and a socket of its own."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import psycopg

from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

#: It refuses to run as root.
USER = "postgres"
#: Nothing of it has to survive the machine. What it has committed survives its processes.
FAST = ("-c", "fsync=off", "-c", "full_page_writes=off")


def programs() -> Path | None:
    """Where the newest server's programs are; None where there are none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return found[-1].parent if found else None


class PostgreSQL:
    """``start``, ``stop`` and ``kill`` as often as a test likes: the data stays."""

    def __init__(self, directory: Path) -> None:
        found = programs()
        assert found is not None, "install postgresql"
        self._programs = found
        self._directory = directory
        self._user = USER if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._databases = 0
        if self._user:
            owner = pwd.getpwnam(USER)
            os.chown(directory, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--no-sync", "--auth=trust", "--username=scf", f"{directory}/data")

    def database(self) -> str:
        """The URL of a new, empty database."""
        self._databases += 1
        name = f"scf{self._databases}"
        with closing(self._connect()) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql://scf@/{name}?host={self._directory}"

    def start(self) -> None:
        """Returns when it answers."""
        command = [
            *(f"{self._programs}/postgres", "-D", f"{self._directory}/data"),
            *("-c", "listen_addresses=", "-k", f"{self._directory}", *FAST),
        ]
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user
            )
        wait_until(self._answers)

    def stop(self) -> None:
        """At once, as an administrator does it who does not wait for clients."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """As the kernel does it for want of memory. What was committed is there when it starts."""
        self._end(signal.SIGQUIT)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._directory / "log").read_text()
        with suppress(psycopg.OperationalError), closing(self._connect()):
            return True
        return False

    def _connect(self) -> psycopg.Connection:
        return psycopg.connect(f"host={self._directory} user=scf dbname=postgres", autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [self._programs / program, *arguments], check=True, capture_output=True, user=self._user
        )


@contextmanager
def postgresql() -> Iterator[PostgreSQL]:
    """A server that answers, and is gone with everything afterwards."""
    # A socket's path is short, and every directory above must let its user through.
    with TemporaryDirectory(prefix="scf-pg-", dir="/tmp") as directory:
        server = PostgreSQL(Path(directory))
        server.start()
        try:
            yield server
        finally:
            server.stop()
