"""What init says of memory: sampled while the function works, from its group or from /proc."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from sandbox.engine.init_protocol import MemoryRose
from tests.init.processes import Burners, asleep, switches
from tests.support.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.init.init_kit import Instance, Stage
    from tests.init.peers import Peer

MIB = 1024 * 1024


async def test_memory_is_never_nothing_for_what_ran(stage: Stage) -> None:
    stage.write(b"#!/bin/true\n")
    async with Burners():
        for _ in range(10):
            instance = await stage.start()
            await instance.go()
            assert (await instance.ended()).peak > 0


async def test_a_peak_that_is_over_at_the_end_was_seen(stage: Stage) -> None:
    instance = await stage.start(
        "import time\nheld = b'x' * 50000000; time.sleep(.15); del held; print('up', flush=True)\n"
        "time.sleep(60)"
    )
    await instance.go()
    await instance.peer.said(b"up")

    assert 49000000 < (await instance.peer.flush()).peak < 100 * MIB


async def test_files_are_no_memory(stage: Stage) -> None:
    instance = await stage.start(
        "import mmap, os\n"
        "fd = os.open('file', os.O_RDWR | os.O_CREAT); os.ftruncate(fd, 50 << 20)\n"
        "m = mmap.mmap(fd, 50 << 20)\n"
        "for at in range(0, 50 << 20, 4096): m[at]\n"
        "print('up', flush=True); import time; time.sleep(60)"
    )
    await instance.go()
    await instance.peer.said(b"up")

    assert (await instance.peer.flush()).peak < 30 * MIB


async def test_shared_memory_is_memory(stage: Stage) -> None:
    instance = await stage.start(
        "import mmap, time\nm = mmap.mmap(-1, 50 << 20)\n"
        "for at in range(0, 50 << 20, 4096): m[at] = 1\n"
        "print('up', flush=True); time.sleep(60)"
    )
    await instance.go()
    await instance.peer.said(b"up")

    assert 49 * MIB < (await instance.peer.flush()).peak < 80 * MIB


async def test_what_rises_is_told_without_being_asked(stage: Stage) -> None:
    instance = await stage.start(
        "import time\n"
        "held = []\n"
        "for n in range(20): held.append(b'x' * 2000000); time.sleep(.06)\n"
        "print('up', flush=True); time.sleep(60)"
    )
    await instance.go()
    await instance.peer.said(b"up")
    peer = instance.peer
    await eventually(lambda: told(peer)[-1].peak > 40000000)

    peaks = [message.peak for message in told(peer)]
    assert len(peaks) > 10
    assert all(later > before * 1.01 for before, later in pairwise(peaks))


def told(peer: Peer) -> list[MemoryRose]:
    return [message for message in peer.messages if isinstance(message, MemoryRose)]


async def test_sampling_is_the_control_planes_choice(stage: Stage) -> None:
    """Told to look only at flushes, it does not see what is between them."""
    instance = await stage.start(
        "import socket, time\n"
        "s = socket.socket(socket.AF_UNIX); s.connect('test')\n"
        "while s.recv(1):\n"
        "    held = b'x' * 50000000; time.sleep(.2); del held; s.sendall(b'x')\n"
    )
    function = await stage.partner("test")
    await instance.go()
    await function.connected()
    connection = instance.peer.connection
    instance.peer.send(connection.sample(0))
    await instance.peer.flush()
    function.write(b"g")
    await function.heard(1)
    assert (await instance.peer.flush()).peak < 30 * MIB
    instance.peer.send(connection.sample(50))
    function.write(b"g")
    await function.heard(1)
    assert (await instance.peer.flush()).peak > 50000000


async def test_standing_by_costs_nothing(stage: Stage) -> None:
    instance = await stage.start("")
    await instance.peer.flush()
    await asleep(instance.pid)
    before = switches(instance.pid)
    await asyncio.sleep(0.3)  # the time is what is tried
    assert switches(instance.pid) == before


#: memory.stat of a version 2 group: the beginning of a real one.
VERSION_2 = "anon {}\nfile 90000000\nkernel 300000\nkernel_stack 16384\nshmem {}\nfile_mapped 1\n"
VERSION_1 = "rss 1\nshmem 1\ntotal_cache 90000000\ntotal_rss {}\ntotal_rss_huge 0\ntotal_shmem {}\n"


@pytest.fixture
def groups(own_namespace: tuple[str, ...], tmp_path: Path) -> tuple[str, ...]:
    """Its own /sys/fs/cgroup: the directory `groups` of the test."""
    (tmp_path / "groups").mkdir()
    mount = f'mount --bind "{tmp_path}/groups" /sys/fs/cgroup && exec "$@"'
    return (*own_namespace, "sh", "-c", mount, "sh")


async def _flushed(instance: Instance) -> tuple[int, int]:
    border = await instance.peer.flush()
    return border.peak, border.oom_kills


async def test_it_reads_a_group_of_version_2(
    stage: Stage, groups: tuple[str, ...], tmp_path: Path
) -> None:
    files = tmp_path / "groups"
    (files / "memory.max").write_text("134217728\n")
    (files / "memory.stat").write_text(VERSION_2.format(20000000, 3000000))
    (files / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\n")
    instance = await stage.start("", before=groups)

    assert await _flushed(instance) == (23000000, 1)

    (files / "memory.stat").write_text(VERSION_2.format(10000000, 0))
    (files / "memory.events").write_text("low 0\nhigh 0\nmax 3\noom 2\noom_kill 2\n")
    assert await _flushed(instance) == (23000000, 2)


async def test_it_reads_a_group_of_version_1(
    stage: Stage, groups: tuple[str, ...], tmp_path: Path
) -> None:
    files = tmp_path / "groups" / "memory"
    files.mkdir()
    (files / "memory.limit_in_bytes").write_text("134217728\n")
    (files / "memory.stat").write_text(VERSION_1.format(20000000, 3000000))
    (files / "memory.oom_control").write_text("oom_kill_disable 0\nunder_oom 0\noom_kill 4\n")
    instance = await stage.start("", before=groups)

    assert await _flushed(instance) == (23000000, 4)


async def test_a_group_without_a_limit_is_not_the_instances(
    stage: Stage, groups: tuple[str, ...], tmp_path: Path
) -> None:
    """Others are in it too: rootless engines without delegation, this test's own."""
    files = tmp_path / "groups"
    (files / "memory.max").write_text("max\n")
    (files / "memory.stat").write_text(VERSION_2.format(900000000, 0))
    instance = await stage.start("import time; time.sleep(60)", before=groups)
    await instance.go()

    assert 0 < (await _flushed(instance))[0] < 30 * MIB
