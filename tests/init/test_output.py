"""Output: exact borders, ends of the pipe, back pressure, limits."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_protocol import Ended, OutputClosed
from tests.init.processes import below, cpu_s, own_kb
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.init.init_kit import Stage

#: What the platform keeps of a request within 5 s, and of a line.
WINDOW_BYTES, WINDOW_LINES, LINE_BYTES = 1024 * 1024, 5000, 8192
#: Large variants run where this is set: see init/README.md.
HEAVY = bool(os.environ.get("SCF_INIT_HEAVY"))

#: As much as the platform keeps, more than there is room for while nobody reads.
LINES = "import os\nfor n in range(1000): os.write(1, b'%04d' % n + b'x' * 1019 + b'\\n')\n"
LINES_OUT = b"".join(b"%04d" % n + b"x" * 1019 + b"\n" for n in range(1000))

#: An engine's log that is never slow, so that only the control plane is.
NO_LOG = ("sh", "-c", 'exec "$@" >/dev/null', "sh")


async def test_what_was_written_before_a_flush_comes_before_its_answer(stage: Stage) -> None:
    instance = await stage.start(
        "import os, socket\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test'); f = s.makefile('r')\n"
        "for line in f:\n"
        "    os.write(1, line.encode() * int(line)); os.write(2, b'end\\n'); s.sendall(b'x')\n"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    await instance.peer.flush()
    for count in 1, 7, 500, 3, 5000, 0, 2:
        function.write(f"{count}\n".encode())
        await function.heard(1)
        await instance.peer.flush()
        assert instance.peer.segments[-1] == f"{count}\n".encode() * count + b"end\n"


async def test_a_whole_pipe_and_more_comes_before_the_answer(stage: Stage) -> None:
    """A pipe enlarged by the function holds more than init can keep."""
    instance = await stage.start(
        "import fcntl, os, socket\n"
        "print('size', fcntl.fcntl(1, 1031, 1 << 20), flush=True)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test'); s.recv(1)\n"
        "os.write(1, b'x' * (900 << 10)); s.sendall(b'x'); s.recv(1)"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    await instance.peer.said(b"size 1048576\n")
    await instance.peer.flush()
    instance.peer.reading.clear()
    function.write(b"g")
    await function.heard(1)
    instance.peer.reading.set()

    await instance.peer.flush()

    assert len(instance.peer.segments[-1]) + instance.peer.discarded == 900 << 10


async def test_an_endless_writer_does_not_keep_a_flush_from_its_answer(stage: Stage) -> None:
    instance = await stage.start("import os\nwhile True: os.write(1, b'y\\n' * 4096)")
    await instance.go()
    await instance.peer.said(b"y\ny\n")
    before = time.monotonic()

    for _ in range(20):
        await instance.peer.flush()

    assert time.monotonic() - before < 10
    # A line more than the platform keeps, so that it is seen that the limit was passed.
    await eventually(lambda: instance.peer.present.count(b"\n") > WINDOW_LINES)
    await instance.peer.flush()
    assert instance.peer.segments[-1].count(b"\n") == WINDOW_LINES + 1


async def test_a_newer_flush_answers_an_older(stage: Stage) -> None:
    instance = await stage.start("import time; print('up', flush=True); time.sleep(60)")
    await instance.go()
    connection = instance.peer.connection
    instance.peer.send(connection.flush() + connection.flush() + connection.flush())

    await eventually(lambda: connection.answered == 3)

    assert len(instance.peer.segments) <= 2


async def test_the_end_comes_after_output_that_nobody_had_read(stage: Stage) -> None:
    instance = await stage.start(
        "import os; os.write(1, b'x' * 99 + b'\\n' + b'last'); os._exit(3)"
    )
    instance.peer.send(instance.peer.connection.go())

    end = await instance.ended()

    assert bytes(instance.peer.output) == b"x" * 99 + b"\nlast"
    assert end.code == 3


async def test_a_killed_bootstraps_output_is_complete(stage: Stage) -> None:
    instance = await stage.start(
        "import os, signal\nos.write(1, b'line\\n' * 5000)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    await instance.go()

    end = await instance.ended()

    assert bytes(instance.peer.output) == b"line\n" * 5000
    assert end.code == 137


async def test_the_end_answers_an_open_flush(stage: Stage) -> None:
    """Nobody takes the output, so it cannot be answered; then the bootstrap dies."""
    instance = await stage.start(LINES, before=NO_LOG)
    instance.peer.reading.clear()
    connection = instance.peer.connection
    instance.peer.send(connection.go())
    await stage.blocked(instance)
    instance.peer.send(connection.flush())
    os.kill(below(instance.pid)[0], signal.SIGKILL)
    await stage.childless(instance)
    instance.peer.reading.set()

    assert (await instance.ended()).status == signal.SIGKILL
    assert len(instance.peer.segments) == 1
    assert LINES_OUT.startswith(instance.peer.segments[0])


async def test_a_child_that_keeps_the_pipe_open_does_not_delay_the_end(stage: Stage) -> None:
    instance = await stage.start(
        "import os, time\n"
        "if os.fork(): os.write(1, b'parent\\n'); os._exit(4)\n"
        "while True: os.write(1, b'child\\n'); time.sleep(.001)"
    )
    before = time.monotonic()
    await instance.go()

    end = await instance.ended()

    assert time.monotonic() - before < 1
    assert end.code == 4
    assert b"parent\n" in instance.peer.output
    assert await instance.code(deadline_s=1) == 4
    # Nothing came after the end: the protocol's state machine has seen to it.
    assert isinstance(instance.peer.messages[-1], Ended)


async def test_a_bootstrap_may_close_its_output(stage: Stage) -> None:
    instance = await stage.start(
        "import os, socket\n"
        "os.write(1, b'bye\\n'); os.close(1); os.close(2)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test'); s.recv(1)"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    await instance.peer.get(OutputClosed)
    for _ in range(10):
        await instance.peer.flush()
    spent = cpu_s(instance.pid)
    await asyncio.sleep(0.3)  # time in which an init that spins would be seen
    assert cpu_s(instance.pid) - spent < 0.1
    function.write(b"g")

    assert (await instance.ended()).code == 0
    assert bytes(instance.peer.output) == b"bye\n"


async def test_binary_output_arrives_as_it_is(stage: Stage) -> None:
    instance = await stage.start("import os; os.write(1, bytes(range(256)) * 40)")
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output) == bytes(range(256)) * 40
    await instance.logged(bytes(range(256)) * 40)


async def test_of_a_long_line_more_than_the_platform_keeps_arrives(stage: Stage) -> None:
    instance = await stage.start(
        "import os\n"
        "os.write(1, b'a' * 3000000 + b'\\n' + b'done\\n' + b'b' * 3000000 + b'\\r\\nend')"
    )
    await instance.go()
    await instance.ended()

    first, done, second, end = bytes(instance.peer.output).split(b"\n")
    assert LINE_BYTES < len(first) < 4 * LINE_BYTES
    assert LINE_BYTES < len(second) < 4 * LINE_BYTES
    assert (done, end) == (b"done", b"end")
    assert len(instance.peer.output) + instance.peer.discarded == 6000000 + 1 + 5 + 2 + 3


async def test_only_whole_lines_are_left_out_over_the_limit(stage: Stage) -> None:
    instance = await stage.start(
        "import os, socket\n"
        "for n in range(30000): os.write(1, b'%07d\\n' % n)\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test'); s.recv(1)\n"
        "os.write(1, b'next request\\n'); s.sendall(b'x'); s.recv(1)"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    await instance.peer.flush()

    lines = instance.peer.segments[-1].splitlines()
    assert lines == [b"%07d" % n for n in range(WINDOW_LINES + 1)]
    assert instance.peer.discarded == 8 * (30000 - len(lines))

    # A border is the beginning of the next request, which has limits of its own.
    function.write(b"g")
    await function.heard(1)
    await instance.peer.flush()
    assert instance.peer.segments[-1] == b"next request\n"
    marker = b"[init] %d bytes are missing here: over the platform's log limit\nnext request\n"
    await instance.logged(marker % instance.peer.discarded)


async def test_a_megabyte_of_lines_is_within_the_limit(stage: Stage) -> None:
    """The platform counts a line without its end."""
    lines = b"".join(b"%01023d\n" % n for n in range(1024))
    instance = await stage.start(
        "import os\n"
        "for n in range(1025): os.write(1, b'%01023d\\n' % n)\n"
        "os.write(1, b'more\\n' * 9)"
    )
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output).startswith(lines)
    assert len(instance.peer.output) < len(lines) + 8192


@pytest.mark.parametrize("megabytes", [200 if HEAVY else 40])
async def test_a_flood_with_the_result_behind_it(stage: Stage, megabytes: int) -> None:
    instance = await stage.start(
        "import os, socket\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test')\n"
        f"for _ in range({megabytes}): os.write(1, (b'x' * 127 + b'\\n') * 8192)\n"
        "s.sendall(b'x'); s.recv(1)\n"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    await function.heard(1)
    await instance.peer.flush()

    assert len(instance.peer.segments[-1]) + instance.peer.discarded == megabytes << 20
    assert len(instance.peer.segments[-1]) >= WINDOW_LINES * 128
    assert own_kb(instance.pid) < 512


async def test_a_paused_control_plane_loses_nothing(stage: Stage) -> None:
    """Where the large variants run, longer than TCP_USER_TIMEOUT: that is no silent cut."""
    instance = await stage.start(LINES, before=NO_LOG)
    instance.peer.reading.clear()
    instance.peer.send(instance.peer.connection.go())
    await stage.blocked(instance)
    await asyncio.sleep(7.0 if HEAVY else 0.3)  # the length of the pause is what is tried
    assert below(instance.pid), "the function waits, and nobody dies of it"
    instance.peer.reading.set()

    assert (await instance.ended()).code == 0
    assert bytes(instance.peer.output) == LINES_OUT


async def test_a_stuck_engine_log_stalls_a_function_only_once(stage: Stage) -> None:
    """Lines within the limit, and nobody reads the copy."""
    instance = await stage.start(
        LINES + "import socket; s = socket.socket(socket.AF_UNIX); s.connect('test'); s.recv(1)\n",
        log=False,
    )
    function = await stage.partner("test")
    before = time.monotonic()
    await instance.go()
    await function.connected()
    await instance.peer.flush()

    assert time.monotonic() - before < 1.5
    assert instance.peer.segments[-1] == LINES_OUT

    instance.log_reading.set()
    await instance.logged(b"bytes are missing here: the engine's log was too slow\n")
    kept, marker, after = bytes(instance.log).partition(b"[init] ")
    missing = int((marker + after).split()[1])
    assert LINES_OUT.startswith(kept)
    assert len(kept) + missing == len(LINES_OUT)
    function.write(b"g")


async def test_the_engines_log_is_equal_to_the_stream(stage: Stage) -> None:
    instance = await stage.start(
        "import os\n"
        "for n in range(1500): os.write(1 + n % 2, b'%d\\n' % n * 3)\n"
        "os.write(1, b'end')"
    )
    await instance.go()
    await instance.ended()
    await instance.code()
    await instance.logged(b"end")

    assert instance.log == instance.peer.output
