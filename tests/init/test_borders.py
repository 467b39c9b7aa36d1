"""Whose line is it: instances under load, each event's lines between its two borders, 0 wrong."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

import pytest

from tests.init.processes import Burners

if TYPE_CHECKING:
    from tests.init.init_kit import Instance, Stage
    from tests.init.peers import Partner

HEAVY = bool(os.environ.get("SCF_INIT_HEAVY"))
INSTANCES = 8

#: Polls for an event, answers it; what it writes is the variant's. Three bytes a message each way.
FUNCTION = """
import os, socket, subprocess, threading
s = socket.socket(socket.AF_UNIX); s.connect(PATH)
f = s.makefile('rb')
say = lambda text: os.write(1, text.encode())
{before}
while True:
    s.sendall(b'poll\\n')
    event = f.readline().decode().strip()
    {during}
    s.sendall(b'push\\n')
    {after}
"""

THREE_LINES = "for n in range(3): say(f'{event} {n}\\n')"
VARIANTS = {
    "three lines": ("", THREE_LINES, "", 3),
    "many lines": ("", "for n in range(50): say(f'{event} {n} '.ljust(199) + '\\n')", "", 50),
    "after the result": ("", THREE_LINES, "say(f'{event} 3\\n')", 4),
    "of a subprocess": (
        "",
        "subprocess.run(['/bin/sh', '-c', f'for n in 0 1 2; do echo {event} $n >&2; done'])",
        "",
        3,
    ),
    "beside an endless writer": (
        "threading.Thread(target=lambda: [say('noise\\n' * 100) for _ in iter(int, 1)],"
        " daemon=True).start()",
        THREE_LINES,
        "",
        3,
    ),
    "with a burning child": (
        "subprocess.Popen(['/bin/sh', '-c', 'while :; do :; done'])",
        THREE_LINES,
        "",
        3,
    ),
}


class Server:
    """Hands out events as the runtime API does, and looks at what is between their borders."""

    def __init__(self, lines: int, total: int, noisy: bool) -> None:
        self.wrong: list[str] = []
        self.served = 0
        self._lines = lines
        self._noisy = noisy
        self._events = iter(range(total))

    async def serve(self, instance: Instance, function: Partner) -> None:
        event = ""
        while True:
            message = await function.line()
            if message == b"push\n":
                continue
            await instance.peer.flush()
            if event:
                self._check(event, instance.peer.segments[-1].decode())
            number = next(self._events, None)
            if number is None:
                return
            event = f"event-{number}"
            function.write(f"{event}\n".encode())

    def _check(self, event: str, segment: str) -> None:
        self.served += 1
        own = [f"{event} {n}" for n in range(self._lines)]
        lines = [line.strip() for line in segment.splitlines() if line != "noise"]
        # With more noise than the platform keeps, own lines may be missing, but none be another's.
        if lines != own and not (self._noisy and set(lines) <= set(own)):
            self.wrong.append(f"{event}: {lines}")


@pytest.mark.parametrize("variant", VARIANTS)
async def test_every_line_is_between_its_events_borders(stage: Stage, variant: str) -> None:
    before, during, after, lines = VARIANTS[variant]
    total = 2000 if variant == "three lines" or HEAVY else 100
    server = Server(lines, total, noisy="noise" in before)
    pairs = []
    for number in range(INSTANCES):
        function = await stage.partner(f"socket-{number}")
        stage.write(
            f"PATH = {function.path!r}" + FUNCTION.format(before=before, during=during, after=after)
        )
        instance = await stage.start()
        await instance.go()
        await function.connected()
        pairs.append((instance, function))
    async with Burners(), asyncio.timeout(100):
        await asyncio.gather(*(server.serve(*pair) for pair in pairs))

    assert server.wrong == []
    assert server.served == total
