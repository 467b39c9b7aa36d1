"""init in the process engine: no PID 1, an inherited socket, no control group of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import sys
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_protocol import EXIT_GONE, EXIT_USAGE
from tests.init.processes import below, gone
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.init.init_kit import Stage

MIB = 1024 * 1024
#: Three processes: the bootstrap, a child, and one in a session of its own whose parent is gone.
FAMILY = (
    "import os, time\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    if os.fork(): os._exit(0)\n"
    "else: os.fork()\n"
    "os.write(1, b'up\\n'); time.sleep(60)"
)


async def test_it_speaks_frames_at_once(stage: Stage) -> None:
    instance = await stage.start_on_socket("print('hello')")
    await instance.peer.flush()
    await instance.go()
    end = await instance.ended()

    assert bytes(instance.peer.output) == b"hello\n"
    assert (end.code, await instance.code()) == (0, 0)
    assert not instance.log, "there is no `docker logs` to copy to"


async def test_whatever_ends_it_nothing_is_left(stage: Stage) -> None:
    for how in "quit", "gone", "signal":
        instance = await stage.start_on_socket(FAMILY)
        await instance.go()
        await eventually(lambda: instance.peer.output.count(b"up") == 3)  # noqa: B023
        pids = below(instance.pid)
        assert len(pids) == 3
        if how == "quit":
            instance.peer.send(instance.peer.connection.quit())
        elif how == "gone":
            instance.peer.abort()
        else:
            os.kill(instance.pid, signal.SIGTERM)
        assert await instance.code() == {"quit": 137, "gone": EXIT_GONE, "signal": 143}[how]
        await gone(*pids, deadline_s=1)


async def test_what_the_bootstrap_leaves_is_taken_along(stage: Stage) -> None:
    instance = await stage.start_on_socket(
        FAMILY.replace(
            "time.sleep(60)",
            "os.getsid(0) == os.getpid() and (time.sleep(.2), os._exit(0)); time.sleep(60)",
        )
    )
    await instance.go()
    await eventually(lambda: instance.peer.output.count(b"up") == 3)
    pids = below(instance.pid)
    await instance.ended()

    assert await instance.code() == 0
    await gone(*pids, deadline_s=1)


async def test_a_control_plane_killed_takes_everything_along(stage: Stage) -> None:
    """It has no time to hang up; and nobody else holds its end of the socket."""
    stage.write(FAMILY)
    program = (
        "import os, socket, subprocess, sys, time\n"
        "ours, theirs = socket.socketpair()\n"
        f"p = subprocess.Popen([{str(stage.binary)!r}, '--fd', str(theirs.fileno())],"
        " pass_fds=[theirs.fileno()])\n"
        "theirs.close(); ours.sendall(b'G\\0\\0\\4\\0\\0\\0\\0')\n"
        "data = b''\n"
        "while data.count(b'up') < 3: data += ours.recv(99)\n"
        "print(p.pid, flush=True); time.sleep(60)"
    )
    control = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, cwd=stage.directory, stdout=asyncio.subprocess.PIPE
    )
    assert control.stdout is not None
    async with asyncio.timeout(10):
        init = int(await control.stdout.readline())
    pids = below(init)
    assert len(pids) == 3
    control.kill()
    await control.wait()

    await gone(init, *pids, deadline_s=1)


async def test_it_sets_the_bootstraps_limits(stage: Stage) -> None:
    instance = await stage.start_on_socket(
        "import resource as r\nprint(r.getrlimit(r.RLIMIT_NOFILE), r.getrlimit(r.RLIMIT_CORE))",
        "--files",
        "1000",
    )
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output) == b"(1000, 1000) (0, 0)\n"


async def test_over_its_memory_it_is_killed_as_the_kernel_would(stage: Stage) -> None:
    instance = await stage.start_on_socket(
        "import time\n"
        "held = []\n"
        "for n in range(100): held.append(b'x' * 4000000); print(n, flush=True); time.sleep(.02)",
        "--memory",
        str(64 * MIB),
    )
    await instance.go()
    end = await instance.ended()

    assert end.status == signal.SIGKILL
    assert end.oom_kills == 1
    assert 50 * MIB < end.peak <= 64 * MIB
    assert await instance.code() == 137


async def test_pages_shared_with_a_child_count_once_for_the_limit(stage: Stage) -> None:
    instance = await stage.start_on_socket(
        "import os, time\n"
        "held = b'x' * 40000000\n"
        "children = [os.fork() for _ in range(1)]\n"
        "time.sleep(.3)\n"
        "os._exit(0)",
        "--memory",
        str(64 * MIB),
    )
    await instance.go()
    end = await instance.ended()

    assert (end.code, end.oom_kills) == (0, 0)
    assert 38 * MIB < end.peak <= 64 * MIB


async def test_memory_is_that_of_everything_below(stage: Stage) -> None:
    instance = await stage.start_on_socket(
        "import os, threading, time\n"
        "def child():\n"
        "    if os.fork() == 0:\n"
        "        held = b'x' * 30000000; os.write(1, b'up\\n'); time.sleep(60)\n"
        "    time.sleep(60)\n"
        "threading.Thread(target=child, daemon=True).start(); time.sleep(60)"
    )
    await instance.go()
    await instance.peer.said(b"up")

    assert (await instance.peer.flush()).peak > 30000000


async def test_a_descriptor_that_is_none_is_told(stage: Stage) -> None:
    process = await stage.process("--fd", "77")
    out, _ = await process.communicate()

    assert out == b"[init] --fd 77 is no descriptor\n"
    assert process.returncode == EXIT_USAGE


async def test_inside_bubblewrap_it_is_pid_1(stage: Stage) -> None:
    """As the process engine runs it where bubblewrap is installed."""
    if shutil.which("bwrap") is None:
        pytest.skip("bubblewrap is not installed")
    stage.write("import os; print(os.getpid(), os.getppid(), flush=True); os.kill(1, 15)")
    ours, theirs = socket.socketpair()
    with theirs:
        number = theirs.fileno()
        wrap = ("bwrap", "--unshare-user", "--unshare-pid", "--as-pid-1", "--die-with-parent")
        places = ("--bind", "/", "/", "--proc", "/proc", "--dev", "/dev")
        process = await stage.process(
            "--fd", str(number), before=(*wrap, *places), pass_fds=(number,)
        )
    instance = await stage.on_socket(process, ours)
    await instance.go()
    end = await instance.ended()

    assert bytes(instance.peer.output).split()[1] == b"1"
    assert end.code == 0
    assert end.peak > 0
    assert await instance.code() == 0
