"""The instance's init (C), built with sanitizers: what a control plane may send it."""

from __future__ import annotations

import atexit
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.fuzz.targets import Take

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "init").glob("*.c"))
FLAGS = ("-std=c11", "-D_GNU_SOURCE", "-O1", "-g", "-fsanitize=address,undefined")
#: Seconds until it must have ended: nobody is at the other end any more.
END_S = 10
COMMANDS = b"GFKW"


def init() -> Take:
    """It ends with one of its own exit codes, and no sanitizer has a word to say.

    A byte below 128 makes a command that exists, with the next one as its number.
    """
    directory = Path(tempfile.mkdtemp(prefix="scf-fuzz-init-"))
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    program = directory / "init"
    compiler = shutil.which("gcc") or "cc"
    subprocess.run([compiler, *FLAGS, "-o", str(program), *map(str, SOURCES)], check=True)
    bootstrap = directory / "bootstrap"
    bootstrap.write_text("#!/bin/sh\necho hello\n")
    bootstrap.chmod(0o755)
    environment = {"PATH": "/usr/bin:/bin", "ASAN_OPTIONS": "detect_leaks=0"}

    def take(data: bytes) -> None:
        ours, its = socket.socketpair()
        with ours, its:
            process = subprocess.Popen(
                [program, "--fd", f"{its.fileno()}"],
                cwd=directory,
                env=environment,
                pass_fds=(its.fileno(),),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            its.close()
            ours.settimeout(END_S)
            try:
                ours.sendall(commands_of(data))
                ours.shutdown(socket.SHUT_WR)
                with ours.makefile("rb") as said_to_us:
                    said_to_us.read()
            except OSError:
                pass  # it has ended already
        try:
            _, said = process.communicate(timeout=END_S)
        finally:
            process.kill()
            process.wait()
        assert b"Sanitizer" not in said, said
        assert b"runtime error" not in said, said
        assert process.returncode >= 0, f"ended by signal {-process.returncode}"

    return take


def commands_of(data: bytes) -> bytes:
    made = bytearray()
    for at in range(0, len(data), 2):
        kind, number = data[at], data[at + 1] if at + 1 < len(data) else 0
        if kind < 128:
            made += bytes([COMMANDS[kind % 4], 0, 0, 4, 0, 0, 0, number])
        else:
            made += data[at : at + 8]
    return bytes(made)
