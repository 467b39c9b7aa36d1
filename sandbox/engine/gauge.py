"""How much of an instance's output is under way, seen without a word from its init.

An init of the same machine hands over the read end of its output's pipe, which tells what nobody
has read yet, and a page in which it counts what it has read (``init/gauge.c`` has the layout).
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
import secrets
import select
import socket
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

log = structlog.get_logger()

#: Of a page: what it reads, and cannot be taken away from under the reader.
PAGE_BYTES = 16
#: The kernel's F_GET_SEALS, and F_SEAL_SHRINK with F_SEAL_GROW, which only Linux's Python names.
GET_SEALS, SEALS = 1034, 0x2 | 0x4
DESCRIPTORS = 2
DESCRIPTOR_BYTES = 4
#: A name and a secret.
LETTER_BYTES = 512
#: The most letters looked at in one go. A kernel keeps fewer (net.unix.max_dgram_qlen).
LETTERS = 1024
#: Nobody lists the box, whoever owns it: a name in it is known to whom it was told.
SHUT, OPEN = 0o111, 0o700


class Gauge:
    """Of one instance. Single-threaded."""

    __slots__ = ("_output", "_page", "_pipe")

    def __init__(self, output: int, page: int) -> None:
        """Takes both descriptors over. ``OSError`` or ``ValueError`` where they are not a gauge."""
        self._output = output
        try:
            if fcntl.fcntl(page, GET_SEALS) & SEALS != SEALS:
                raise ValueError("the page of a gauge is not sealed")
            if not stat.S_ISFIFO(os.fstat(output).st_mode):
                raise ValueError("the output of a gauge is no pipe")
            mapped = mmap.mmap(page, PAGE_BYTES, prot=mmap.PROT_READ)
        except BaseException:
            os.close(output)
            raise
        finally:
            os.close(page)
        self._page = memoryview(mapped).cast("Q")
        # Not FIONREAD: that waits for the pipe's lock, which a function holds while it writes from
        # memory that is not there yet.
        self._pipe = select.poll()
        self._pipe.register(output, select.POLLIN)

    def settled(self, received: int) -> bool:
        """Whether the bytes received are all that the function has written until now.

        False where that cannot be seen: init is just reading.
        """
        page = self._page
        turn = page[0]
        return (
            not turn & 1
            and page[1] == received
            and not any(events & select.POLLIN for _, events in self._pipe.poll(0))
            and page[0] == turn
        )

    def close(self) -> None:
        """It must not be asked any more. May block, for as long as a function holds its pipe."""
        os.close(self._output)
        self._page.release()


class Measured(asyncio.Protocol):
    """What speaks with an init, and can be given its gauge."""

    def measure(self, gauge: Gauge) -> None:
        """Its output can be seen by this, which is now its own. Called before it is connected."""
        raise NotImplementedError


def receive_gauge(source: socket.socket) -> tuple[str, Gauge | None] | None:
    """The next letter that came to a datagram socket, and its gauge; None: there is no letter.

    A letter without a gauge is somebody else's, or the kernel's pages cannot be sealed.
    """
    # Not recv_fds, which leaves its flags out (CPython 3.11).
    try:
        letter, extra, _, _ = source.recvmsg(
            LETTER_BYTES,
            socket.CMSG_LEN(DESCRIPTORS * DESCRIPTOR_BYTES),
            socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT,
        )
    except BlockingIOError:
        return None
    descriptors = [
        number
        for level, kind, data in extra
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS)
        for number in memoryview(data).cast("i")
    ]
    text = letter.decode("latin-1")
    if len(descriptors) != DESCRIPTORS:
        for descriptor in descriptors:
            os.close(descriptor)
        return text, None
    try:
        return text, Gauge(*descriptors)
    except (OSError, ValueError) as error:
        log.warning("gauge_refused", error=str(error))
        return text, None


class GaugeBox:
    """Where inits post their gauges: a datagram socket in a directory that instances see too.

    An init posts before it dials in, so what belongs to a connection is here when that comes:
    nothing waits for letters. The socket's name cannot be guessed, and init wipes it before the
    function is there. That is needed: the kernel closes descriptors that come with a letter in the
    thread that takes it, and a socket with ``SO_LINGER`` can hold that up for as long as its sender
    likes. What has no name and secret that are expected is thrown away.
    """

    def __init__(self, directory: Path) -> None:
        """``OSError`` where there can be no socket. A path of any length will do."""
        self._directory = directory
        self.name = secrets.token_hex(16)
        directory.mkdir(parents=True, exist_ok=True)
        self._clear()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            opened = os.open(directory, os.O_PATH | os.O_DIRECTORY)
            try:
                self._socket.bind(f"/proc/self/fd/{opened}/new")
            finally:
                os.close(opened)
            # /proc/net/unix keeps the name with which it was bound.
            (directory / "new").rename(directory / self.name)
            # Instances have users of their own.
            (directory / self.name).chmod(0o666)
            directory.chmod(SHUT)
        except BaseException:
            self._socket.close()
            raise

    def _clear(self) -> None:
        """Of this run, or an earlier one."""
        self._directory.chmod(OPEN)
        for left in self._directory.iterdir():
            left.unlink()

    def letters(self) -> Iterator[tuple[str, str, Gauge]]:
        """What came since: name, secret, gauge. Who takes one closes it."""
        for _ in range(LETTERS):
            received = receive_gauge(self._socket)
            if received is None:
                return
            letter, gauge = received
            if gauge is not None:
                name, _, secret = letter.partition(" ")
                yield name, secret, gauge

    def close(self) -> None:
        """What comes from now on is lost."""
        self._socket.close()
        with suppress(OSError):
            self._clear()
