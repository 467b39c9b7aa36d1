"""From dialling to the exit code: what init does when all is well, and when the bootstrap ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from typing import TYPE_CHECKING

from sandbox.engine.init_protocol import EXIT_GONE, EXIT_REFUSED, EXIT_USAGE, Ended, Started
from tests.init.init_kit import NAME, SECRET
from tests.init.processes import alive, below, gone
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.init.init_kit import Stage

SLEEP = "import time; print('up', flush=True); time.sleep(60)"


async def test_it_asks_for_an_upgrade_in_its_name_with_its_secret(stage: Stage) -> None:
    instance = await stage.start("")

    lines = instance.peer.head.split("\r\n")

    assert lines[0] == "GET /runtime/instance HTTP/1.1"
    assert {f"Host: {NAME}", "Upgrade: scf-init/1", "Connection: Upgrade"} <= set(lines)
    assert f"Scf-Init-Secret: {SECRET}" in lines


async def test_the_bootstrap_runs_only_after_go(stage: Stage) -> None:
    instance = await stage.start("open('ran', 'w'); print('hello')")
    await instance.peer.flush()
    assert not (stage.directory / "ran").exists()

    await instance.go()
    end = await instance.ended()

    assert bytes(instance.peer.output) == b"hello\n"
    kinds = [type(message) for message in instance.peer.messages]
    assert kinds[1] is Started
    assert kinds[-1] is Ended
    assert (end.code, await instance.code()) == (0, 0)


async def test_frames_may_follow_the_answer_at_once(stage: Stage) -> None:
    stage.answer += b"G\0\0\4\0\0\0\0"
    stage.write("print('hello')")
    await stage.process()
    peer = await stage.arrived()
    peer.connection.go()

    await peer.get(Ended)

    assert bytes(peer.output) == b"hello\n"


async def test_its_exit_code_is_the_bootstraps(stage: Stage) -> None:
    instance = await stage.start("import sys; sys.exit(7)")
    await instance.go()
    end = await instance.ended()

    assert end.code == 7
    assert await instance.code() == 7


async def test_a_bootstrap_killed_by_a_signal_ends_it_with_128_and_more(stage: Stage) -> None:
    instance = await stage.start("import os; os.kill(os.getpid(), 9)")
    await instance.go()
    end = await instance.ended()

    assert end.status == signal.SIGKILL
    assert (end.code, await instance.code()) == (137, 137)


async def test_a_killed_bootstrap_is_known_at_once(stage: Stage) -> None:
    instance = await stage.start(SLEEP)
    await instance.go()
    await instance.peer.said(b"up")
    before = time.monotonic()
    os.kill(below(instance.pid)[0], signal.SIGKILL)

    assert (await instance.ended()).status == signal.SIGKILL

    assert time.monotonic() - before < 0.5


async def test_it_ends_by_itself_when_nobody_answers_the_end(stage: Stage) -> None:
    instance = await stage.start("")
    await instance.go()
    await instance.peer.get(Ended)
    before = time.monotonic()

    assert await instance.code() == 0
    assert 0.1 < time.monotonic() - before < 1


async def test_quit_ends_it_in_every_state(stage: Stage) -> None:
    standing_by = await stage.start(SLEEP)
    standing_by.peer.send(standing_by.peer.connection.quit())
    assert await standing_by.code() == 0

    running = await stage.start(SLEEP)
    await running.go()
    running.peer.send(running.peer.connection.quit())
    assert await running.code() == 137


async def test_a_control_plane_that_is_gone_ends_it_and_all_below(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    for before in (), own_namespace:
        instance = await stage.start(
            "import os, time\nos.fork(); os.fork()\nprint('up', flush=True); time.sleep(60)",
            before=before,
        )
        await instance.go()
        await eventually(lambda: instance.peer.output.count(b"up") == 4)  # noqa: B023
        pids = below(instance.pid)
        assert len(pids) == 4
        instance.peer.abort()

        assert await instance.code(deadline_s=1) == EXIT_GONE
        await gone(*pids, deadline_s=1)


async def test_refused_it_says_so_and_ends(stage: Stage) -> None:
    stage.answer = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
    instance = await stage.start("")

    assert await instance.code() == EXIT_REFUSED
    await instance.logged(b"refused this instance: HTTP/1.1 403 Forbidden\n")


async def test_without_a_control_plane_it_says_so_and_ends(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        nobody = f"127.0.0.1:{server.getsockname()[1]}"
    process = await stage.process(environment={"SCF_INIT_ADDRESS": nobody})

    out, _ = await process.communicate()

    assert (
        out == f"[init] cannot reach the control plane at {nobody}: Connection refused\n".encode()
    )
    assert process.returncode == EXIT_GONE


async def test_started_by_hand_it_says_what_it_is(stage: Stage) -> None:
    for wrong in (
        {"SCF_INIT_SECRET": ""},
        {"SCF_RUNTIME_API": ""},
        {"SCF_INIT_SECRET": "a\r\nb"},
        {"SCF_INIT_SECRET": "a" * 300},
    ):
        process = await stage.process(environment=wrong)
        out, _ = await process.communicate()
        assert b"started by the sandbox's control plane" in out
        assert process.returncode == EXIT_USAGE
    process = await stage.process("--what")
    out, _ = await process.communicate()
    assert out.startswith(b"[init] usage: ")
    assert process.returncode == EXIT_USAGE


async def test_a_name_is_no_address(stage: Stage) -> None:
    for wrong in "localhost:9001", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "127.0.0.1:9x":
        process = await stage.process(environment={"SCF_INIT_ADDRESS": wrong})
        out, _ = await process.communicate()
        assert b"that is no address" in out
        assert process.returncode == EXIT_GONE


async def test_it_dials_a_local_socket_too(stage: Stage) -> None:
    path = str(stage.directory / "control")
    await stage.listen(path)
    instance = await stage.start("print('hello')", environment={"SCF_INIT_ADDRESS": path})
    await instance.go()
    await instance.ended()

    assert bytes(instance.peer.output) == b"hello\n"
    assert await instance.code() == 0


async def test_what_is_no_command_ends_it(stage: Stage) -> None:
    for wrong in b"Z\0\0\4\0\0\0\0", b"G\0\0\5\0\0\0\0":
        instance = await stage.start("")
        instance.peer.send(wrong)
        assert await instance.code() == EXIT_GONE
        await instance.logged(b"of another version than this image")


async def test_commands_may_come_in_pieces(stage: Stage) -> None:
    instance = await stage.start("print('hello')")
    for byte in instance.peer.connection.go():
        instance.peer.send(bytes([byte]))
        await asyncio.sleep(0)  # lets the transport write it

    await instance.ended()

    assert bytes(instance.peer.output) == b"hello\n"


async def test_a_second_go_does_nothing(stage: Stage) -> None:
    instance = await stage.start("print('hello')")
    instance.peer.send(instance.peer.connection.go() + b"G\0\0\4\0\0\0\0")

    await instance.ended()

    assert bytes(instance.peer.output) == b"hello\n"


async def test_signals_reach_the_bootstrap(stage: Stage) -> None:
    instance = await stage.start(
        "import os, signal\n"
        "signal.signal(signal.SIGUSR1, lambda *_: os.write(1, b'heard'))\n"
        "os.write(1, b'up')\n"
        "while True: signal.pause()"
    )
    connection = instance.peer.connection
    instance.peer.send(connection.signal(signal.SIGUSR1))  # too early: nobody is there
    await instance.go()
    await instance.peer.said(b"up")
    instance.peer.send(connection.signal(signal.SIGUSR1))
    await instance.peer.said(b"heard")
    instance.peer.send(connection.signal(signal.SIGTERM))

    assert (await instance.ended()).code == 128 + signal.SIGTERM


async def test_a_place_stands_until_it_is_told_to_end(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    for end in "quit", "gone", "signal":
        place = await stage.start(None, "--place", before=own_namespace)
        assert place.peer.head.startswith("GET /runtime/place HTTP/1.1\r\n")
        await place.peer.flush()
        pid = place.pid
        if end == "quit":
            place.peer.send(place.peer.connection.quit())
        elif end == "gone":
            place.peer.abort()
        else:
            os.kill(pid, signal.SIGTERM)
        assert await place.code(deadline_s=1) == {"quit": 0, "gone": EXIT_GONE, "signal": 143}[end]
        assert not alive(pid)
