"""The parent of one instance's processes, in the process engine.

Run as a program: ``supervisor.py PARENT FD COMMAND...``. ``PARENT`` is the engine's process; ``FD``
holds the environment of ``COMMAND``, each variable ended by a NUL byte, or is -1 for an empty one.

It adopts what the command leaves orphaned, and when the command ends, the engine sends SIGTERM, or
the engine dies, it kills everything below it before it ends itself. It ends with the command's
exit code, or 128 + N when signal N killed the command. It imports nothing of the project, so that
it starts fast.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
KILLED = 128 + signal.SIGKILL
NO_ENVIRONMENT = -1


def main(parent: int, environment_fd: int, command: list[str]) -> int:
    """Run the command to its end; the exit code."""
    signals = {signal.SIGTERM, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM), 0, 0, 0)
    if os.getppid() != parent:  # it died before it could be watched
        return KILLED
    # A process group of its own, so that the command's `kill 0` does not reach its parent.
    child = os.posix_spawn(
        command[0],
        command,
        _environment(environment_fd),
        setpgroup=0,
        setsigmask=[],
        setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],  # Python ignores them, and that is inherited
    )
    code = None
    while code is None:
        code = KILLED if signal.sigwait(signals) == signal.SIGTERM else _reap(child)
    _kill_all()
    return code


def _environment(fd: int) -> dict[bytes, bytes]:
    if fd == NO_ENVIRONMENT:
        return {}
    with open(fd, "rb") as handover:
        pairs = [pair.partition(b"=") for pair in handover.read().split(b"\0") if pair]
    return {name: value for name, _, value in pairs}


def _reap(child: int) -> int | None:
    """Collect what has ended; the command's exit code when it is among it."""
    code = None
    with contextlib.suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                break
            if pid == child:
                code = _exit_code(status)
    return code


def _kill_all() -> None:
    """Kill the children until there are none: the children of a killed one become ours."""
    me = os.getpid()
    with contextlib.suppress(ChildProcessError):
        while True:
            with open(f"/proc/{me}/task/{me}/children") as listing:
                for pid in listing.read().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
            os.waitpid(-1, 0)


def _exit_code(status: int) -> int:
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]))
