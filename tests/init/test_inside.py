"""What the function gets, and what it cannot do to init: PID 1 of a process namespace."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.init.init_kit import SECRET
from tests.init.processes import below
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.init.init_kit import Instance, Stage

#: As another user than root, where the test itself is root; what a container's function is.
UNPRIVILEGED = (
    "setpriv",
    "--reuid=12345",
    "--regid=12345",
    "--clear-groups",
    "--inh-caps=-all",
    "--no-new-privs",
)
SAY = "import ctypes, errno, json, os, resource, signal, sys, time\n"


async def ask(
    stage: Stage,
    before: tuple[str, ...],
    code: str,
    environment: dict[str, str] | None = None,
) -> Any:
    """What a bootstrap puts into `answer`."""
    program = SAY + code + "\nsys.stdout.write(json.dumps(answer) + '\\n')"
    instance = await stage.start(program, before=before, environment=environment)
    await instance.go()
    end = await instance.ended()
    assert end.code == 0, bytes(instance.peer.output)
    return json.loads(bytes(instance.peer.output))


@pytest.fixture
def user(own_namespace: tuple[str, ...], stage: Stage) -> tuple[str, ...]:
    """A namespace of its own, and no privileges in it."""
    for path in (stage.directory, *stage.directory.parents[:3]):
        if os.access(path, os.W_OK) and path.is_relative_to("/tmp") and path != Path("/tmp"):
            path.chmod(0o755)
    return (*own_namespace, *UNPRIVILEGED)


async def test_the_environment_is_as_configured_byte_for_byte(stage: Stage) -> None:
    odd = {"EMPTY": "", "LINES": "a\nb", "UTF": "Straße 漢", "EQUALS": "a=b=c", "SPACE": " x "}
    stage.write(b"#!/usr/bin/cat\n")
    (stage.directory / "bootstrap").unlink()
    (stage.directory / "bootstrap").symlink_to("/usr/bin/env")
    instance = await stage.start(environment=odd)
    await instance.go()
    await instance.ended()

    expected = {
        "SCF_RUNTIME_API": "0123456789abcdef" * 2 + ".scf",
        "PATH": os.environ["PATH"],
        **odd,
    }
    assert bytes(instance.peer.output).decode() == "".join(
        f"{name}={value}\n" for name, value in expected.items()
    )


async def test_only_three_descriptors_arrive(stage: Stage, own_namespace: tuple[str, ...]) -> None:
    answer = await ask(
        stage,
        own_namespace,
        "answer = [(n, os.readlink(f'/proc/self/fd/{n}').partition(':')[0])"
        " for n in sorted(map(int, os.listdir('/proc/self/fd')))"
        " if os.path.exists(f'/proc/self/fd/{n}')]",
    )

    assert answer[:3] == [[0, "/dev/null"], [1, "pipe"], [2, "pipe"]]
    # What is left is what lists the directory, or the interpreter's script.
    assert all(not name.startswith(("socket", "anon_inode", "pipe")) for _, name in answer[3:])


async def test_the_bootstrap_starts_as_programs_expect(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    answer = await ask(
        stage,
        own_namespace,
        "lines = open('/proc/self/status').read().splitlines()\n"
        "status = dict(line.split(':\\t') for line in lines)\n"
        "answer = {'pid': os.getpid(), 'parent': os.getppid(), 'session': os.getsid(0),\n"
        "'group': os.getpgid(0), 'directory': os.getcwd(),\n"
        "'same': os.fstat(1).st_ino == os.fstat(2).st_ino,\n"
        "'oom': open('/proc/self/oom_score_adj').read(),\n"
        "'arguments': open('/proc/self/cmdline').read().split('\\0'),\n"
        "'blocked': int(status['SigBlk'], 16), 'pending': int(status['ShdPnd'], 16)}",
    )

    assert answer["parent"] == 1
    assert answer["session"] == answer["group"] == answer["pid"]
    assert answer["directory"] == str(stage.directory)
    assert answer["same"]
    assert int(answer["oom"]) == 300
    assert answer["arguments"][-2] == "./bootstrap"
    assert answer["blocked"] == answer["pending"] == 0


async def test_ignored_signals_are_not_handed_down(stage: Stage) -> None:
    stage.write(b"#!/bin/sh\ngrep SigIgn /proc/self/status\n")
    before = ("sh", "-c", 'trap "" HUP INT QUIT PIPE TERM USR1; exec "$@"', "sh")
    instance = await stage.start(before=before)
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output).split() == [b"SigIgn:", b"0000000000000000"]


async def test_the_secret_is_nowhere_to_be_seen(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    """Not even by root, who may read all of init's memory."""
    stage.write(SAY + "sys.stdout.write('up\\n'); sys.stdout.flush(); time.sleep(60)")
    instance = await stage.start(before=own_namespace)
    await instance.peer.flush()  # by then what was sent is wiped
    pid = instance.pid
    seen = _shown_of(pid)
    assert SECRET.encode() not in seen + _memory_of(pid)
    assert b"SCF_INIT" not in seen
    await instance.go()
    await instance.peer.said(b"up")
    bootstrap = below(pid)[0]
    seen = _shown_of(bootstrap)
    assert b"SCF_INIT" not in seen
    assert SECRET.encode() not in seen + _memory_of(pid) + _memory_of(bootstrap)


def _shown_of(pid: int) -> bytes:
    names = ("environ", "cmdline", "comm")
    return b"".join(Path(f"/proc/{pid}/{name}").read_bytes() for name in names)


def _memory_of(pid: int) -> bytes:
    """All that a process has in its memory."""
    found = bytearray()
    with open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            span, rights, *_ = line.split()
            if rights.startswith("r") and "[v" not in line:
                begin, end = (int(part, 16) for part in span.split("-"))
                memory.seek(begin)
                found += memory.read(end - begin)
    return bytes(found)


async def test_a_function_cannot_look_into_init(stage: Stage, user: tuple[str, ...]) -> None:
    answer = await ask(
        stage,
        user,
        "answer = {}\n"
        "def tried(name, call):\n"
        "    try: answer[name] = repr(call())\n"
        "    except OSError as error: answer[name] = error.errno\n"
        "for name in 'environ', 'maps', 'mem', 'auxv', 'stack', 'syscall':\n"
        "    tried(name, lambda: open(f'/proc/1/{name}', 'rb').read(1))\n"
        "for name in 'exe', 'root', 'cwd', 'fd/0':\n"
        "    tried(name, lambda: os.readlink(f'/proc/1/{name}'))\n"
        "tried('fd', lambda: os.listdir('/proc/1/fd'))\n"
        "tried('oom_score_adj', lambda: open('/proc/1/oom_score_adj', 'w').write('0'))\n"
        "tried('lower', lambda: open('/proc/self/oom_score_adj', 'w', 1).write('-1\\n'))\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def call(*a):\n"
        "    if libc.syscall(*a) < 0: raise OSError(ctypes.get_errno(), 'x')\n"
        "tried('attach', lambda: call(101, 16, 1, 0, 0))\n"
        "tried('seize', lambda: call(101, 0x4206, 1, 0, 0))\n"
        "tried('pidfd_getfd', lambda: call(438, os.pidfd_open(1), 0, 0))\n"
        "buffer = ctypes.create_string_buffer(8)\n"
        "vector = (ctypes.c_void_p * 2)(ctypes.addressof(buffer), 8)\n"
        "one, none = ctypes.c_ulong(1), ctypes.c_ulong(0)\n"
        "tried('readv', lambda: call(310, 1, vector, one, vector, one, none))",
    )

    assert set(answer.values()) <= {1, 13}, str(answer)  # EPERM, EACCES


async def test_no_signal_from_inside_ends_it_or_comes_back(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    """The function is root here: no kill is refused for want of rights."""
    instance = await stage.start(
        SAY + "for n in range(1, 65):\n"
        "    if n not in (32, 33): os.kill(1, n)\n"
        "sys.stdout.write('alive\\n'); sys.stdout.flush(); time.sleep(60)",
        before=own_namespace,
    )
    await instance.go()
    await instance.peer.said(b"alive")
    for _ in range(3):
        await instance.peer.flush()
    assert below(instance.pid)


async def test_a_forged_sender_is_not_outside(stage: Stage, own_namespace: tuple[str, ...]) -> None:
    """rt_sigqueueinfo lets the sender write its own number, but not SI_USER."""
    instance = await stage.start(
        SAY + "libc = ctypes.CDLL(None, use_errno=True)\n"
        "info = (ctypes.c_int * 32)(15, 0, -1, 0, 0, 0)\n"
        "sent = libc.syscall(129, 1, 15, info)\n"
        "info[2] = 0\n"
        "forged = libc.syscall(129, 1, 15, info)\n"
        "print('sent', sent, forged, flush=True); time.sleep(60)",
        before=own_namespace,
    )
    await instance.go()
    await instance.peer.said(b"sent 0 -1\n")
    await instance.peer.flush()
    assert below(instance.pid)


async def test_a_signal_from_outside_reaches_the_bootstrap(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    instance = await stage.start(
        SAY + "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))\n"
        "print('up', flush=True); time.sleep(60)",
        before=own_namespace,
    )
    await instance.go()
    await instance.peer.said(b"up")
    os.kill(instance.pid, signal.SIGTERM)

    assert (await instance.ended()).code == 5
    assert await instance.code() == 5


async def test_a_signal_from_outside_ends_what_stands_by(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    instance = await stage.start("", before=own_namespace)
    os.kill(instance.pid, signal.SIGTERM)

    assert await instance.code(deadline_s=1) == 143


async def test_limits_set_on_init_do_not_stop_it(stage: Stage, user: tuple[str, ...]) -> None:
    limits = ("NOFILE", "AS", "DATA", "NPROC", "FSIZE", "SIGPENDING", "MEMLOCK", "CORE")
    code = "".join(f"resource.prlimit(1, {_number(name)}, (0, 0))\n" for name in limits)
    instance = await stage.start(
        SAY + code + "print('set', flush=True)\n"
        "p = os.fork()\n"
        "if p == 0: os._exit(0)\n"
        "os.waitpid(p, 0); print('done', flush=True); time.sleep(.2); os._exit(9)",
        before=user,
    )
    await instance.go()
    await instance.peer.said(b"set")
    await instance.peer.flush()

    end = await instance.ended()

    assert b"done" in instance.peer.output
    assert end.code == 9
    assert end.peak > 0
    assert await instance.code() == 9


def _number(name: str) -> int:
    numbers = {"SIGPENDING": 11}
    if name in numbers:
        return numbers[name]
    import resource

    value: int = getattr(resource, f"RLIMIT_{name}")
    return value


async def test_init_out_of_cpu_time_is_the_functions_end(
    stage: Stage, user: tuple[str, ...]
) -> None:
    """The kernel kills PID 1, and with it the whole instance: known at once."""
    instance = await stage.start(
        SAY + "resource.prlimit(1, resource.RLIMIT_CPU, (0, 0))\nprint('set', flush=True)\n"
        "for n in iter(int, 1): os.kill(1, 10)",
        before=user,
    )
    instance.peer.send(instance.peer.connection.go())

    await eventually(lambda: instance.peer.hung_up)

    assert await instance.code() != 0  # `unshare` itself has no exact word for it


async def test_orphans_are_reaped(stage: Stage, own_namespace: tuple[str, ...]) -> None:
    instance = await stage.start(
        SAY + "for n in range(50):\n"
        "    p = os.fork()\n"
        "    if p == 0: os.fork() or os.fork(); os._exit(0)\n"
        "    os.waitpid(p, 0)\n"
        "def others(): return [p for p in os.listdir('/proc') if p.isdigit()]\n"
        "deadline = time.time() + 10\n"
        "while len(others()) > 2 and time.time() < deadline: time.sleep(.01)\n"
        "print('left', len(others()), flush=True)",
        before=own_namespace,
    )
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output) == b"left 2\n"


async def test_a_function_with_a_thousand_processes_ends_like_any_other(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    instance = await stage.start(
        b"#!/bin/sh\ni=0; while [ $i -lt 1000 ]; do sleep 60 & i=$((i+1)); done; echo up; wait\n",
        before=own_namespace,
    )
    await instance.go()
    await instance.peer.said(b"up")
    await instance.peer.flush()
    pids = below(instance.pid)
    instance.peer.send(instance.peer.connection.quit())

    assert await instance.code(deadline_s=5) == 137
    assert len(pids) >= 1000


async def test_a_fork_that_fails_is_told_and_so_is_the_end(
    stage: Stage, user: tuple[str, ...]
) -> None:
    """A user who may have one process only: init."""
    limited = (*user[: -len(UNPRIVILEGED)], "prlimit", "--nproc=1", *UNPRIVILEGED)
    stage.write("")
    instance = await stage.start(before=(*limited[:-1], "--no-new-privs"))

    failure, end = await instance.fail()

    assert (failure.errno, failure.stage.name) == (11, "FORK")
    assert end.code == 126
    assert await instance.code() == 126


async def test_a_second_init_has_nothing_to_show(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    """A copy of init, started by the function, lacks address and secret."""
    first: Instance = await stage.start(
        f"import os; os.execve({str(stage.binary)!r}, ['init'], dict(os.environ))",
        before=own_namespace,
    )
    await first.go()
    end = await first.ended()

    assert end.code == 112
    assert b"started by the sandbox's control plane" in first.peer.output
