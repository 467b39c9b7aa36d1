"""The gauge as init makes it: what it shows is never too early, under any load."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox.engine.gauge import Gauge, GaugeBox, receive_gauge
from tests.init.init_kit import NAME, SECRET
from tests.init.processes import Burners
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from tests.init.init_kit import Instance, Stage

#: Writes a line, then tells that it is written, then waits for a word.
FUNCTION = """
import os, socket
s = socket.socket(socket.AF_UNIX); s.connect(PATH)
f = s.makefile('rb')
n = 0
while True:
    os.write(1, f'{n}\\n'.encode())
    s.sendall(f'{n}\\n'.encode())
    f.readline()
    n += 1
"""
LINES = 3000


def mapped() -> str:
    """What this process has mapped."""
    return Path("/proc/self/maps").read_text()


async def posted(stage: Stage, bootstrap: str, *before: str) -> tuple[Instance, Gauge]:
    """An instance that finds a box, and its gauge."""
    box = GaugeBox(stage.directory / "box")
    path = str(stage.directory / "box" / box.name)
    instance = await stage.start(
        bootstrap, before=tuple(before), environment={"SCF_INIT_MEETING": path}
    )
    ((name, secret, gauge),) = box.letters()
    box.close()
    assert (name, secret) == (NAME, SECRET)
    return instance, gauge


async def test_what_it_shows_has_arrived_under_load(
    stage: Stage, own_namespace: tuple[str, ...]
) -> None:
    function = await stage.partner("socket")
    instance, gauge = await posted(stage, f"PATH = {function.path!r}" + FUNCTION, *own_namespace)
    assert gauge.settled(0)
    await instance.go()
    await function.connected()
    peer, early, seen = instance.peer, [], 0
    async with Burners():
        for _ in range(LINES):
            line = await function.line()
            if gauge.settled(len(peer.output)):
                seen += 1
                if not peer.output.endswith(b"\n" + line) and line != b"0\n":
                    early.append(line)
            function.write(b"go on\n")
    assert early == []
    await eventually(lambda: gauge.settled(len(peer.output)))
    assert seen or len(peer.output)
    gauge.close()


async def test_a_process_engines_init_hands_it_over(stage: Stage) -> None:
    stage.write("import os; os.write(1, b'hello'); os.read(0, 1); import time; time.sleep(60)")
    ours, theirs = socket.socketpair()
    box, post = socket.socketpair(type=socket.SOCK_DGRAM)
    with box:
        with theirs, post:
            process = await stage.process(
                *("--fd", str(theirs.fileno()), "--gauge", str(post.fileno())),
                pass_fds=(theirs.fileno(), post.fileno()),
            )
        instance = await stage.on_socket(process, ours)
        await instance.peer.flush()
        received = receive_gauge(box)
    assert received is not None
    gauge = received[1]
    assert gauge is not None
    await instance.go()
    await instance.peer.said(b"hello")
    await eventually(lambda: gauge.settled(5))
    assert not gauge.settled(4)
    gauge.close()


async def test_an_init_without_a_box_works_all_the_same(stage: Stage) -> None:
    nowhere = str(stage.directory / "nowhere")
    for path in (nowhere, "x" * 200, ""):
        instance = await stage.start("print('hello')", environment={"SCF_INIT_MEETING": path})
        await instance.go()
        assert (await instance.ended()).code == 0
        assert instance.peer.output == b"hello\n"


async def test_a_full_box_holds_nobody_up(stage: Stage) -> None:
    box = GaugeBox(stage.directory / "box")
    path = str(stage.directory / "box" / box.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        sender.connect(path)
        try:
            for _ in range(10_000):
                sender.send(b"junk")
        except BlockingIOError:
            pass
    instance = await stage.start("print('hello')", environment={"SCF_INIT_MEETING": path})
    assert list(box.letters()) == []
    await instance.go()
    assert (await instance.ended()).code == 0
    box.close()


async def test_the_function_has_none_of_it(stage: Stage) -> None:
    looks = (
        "import os; print(sorted(os.listdir('/proc/self/fd'))[:-1], 'SCF_INIT' in str(os.environ))"
    )
    instance, gauge = await posted(stage, looks)
    await instance.go()
    await instance.ended()
    assert "scf-gauge" in mapped()
    assert instance.peer.output == b"['0', '1', '2'] False\n"
    gauge.close()
    assert "scf-gauge" not in mapped()
