"""What every engine promises. ``sandbox.engine.base`` tells how to run this on one of your own.

Everything here goes through the fixture ``rig``.
"""

from __future__ import annotations

import asyncio
import errno
import signal
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import EngineError, EngineErrorKind
from sandbox.instance.environment import FIXED
from tests.engine.engine_kit import Watcher
from tests.support.waiting import eventually
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.engine.engine_kit import Rig

MB = 1024 * 1024
#: A shell variable of N MB, written with the tools that every system has.
ALLOCATE = "x=$(head -c $(({mb} << 20)) /dev/zero | tr '\\0' x); echo allocated"
#: Which of our engines have the platform's own libraries.
OURS = {"docker": True, "process": False}
#: Waits without using anything, until it is killed.
LINGER = "sleep 1000 & wait"


async def test_a_launched_instance_waits_for_its_release(rig: Rig) -> None:
    waiting, waiting_said = await rig.launch("echo started")
    released, released_said = await rig.launch("echo started")
    released.release()
    await released_said.end()
    assert released_said.lines == ["started"]
    assert waiting_said.lines == []
    assert waiting_said.exits == []
    await waiting.destroy()


async def test_the_bootstrap_runs_in_the_directory_of_its_code(rig: Rig) -> None:
    end, lines = await rig.run('[ -x ./bootstrap ] && [ "$PWD" -ef "$USER_CODE_ROOT" ] && pwd')
    assert end.code == 0
    if rig.fixed_places:
        assert lines == ["/var/user"]


async def test_the_environment_is_what_was_asked_for_and_the_runtime_api(rig: Rig) -> None:
    wanted = {"GREETING": "a = 'b' \"c\" $d\n2"}
    container, watcher = await rig.launch("exec env -0", environment=wanted)
    container.release()
    await watcher.end()
    pairs = (pair.partition("=") for pair in watcher.data.decode().split("\0") if pair)
    environment = {name: value for name, _, value in pairs}
    expected = {
        **FIXED,
        **wanted,
        "MARK": rig.settings.installation,
        "SCF_RUNTIME_API": container.runtime_host,
        "SCF_RUNTIME_API_PORT": str(rig.settings.runtime_port),
        "NO_PROXY": container.runtime_host,
        "no_proxy": container.runtime_host,
    }
    of_the_shell = {"_", "SHLVL", "OLDPWD", "HOSTNAME"}
    # Where the engine's own system lacks the platform's locale, another one stands in.
    elsewhere = set() if rig.engine.info.abi_parity else {"LANG", "LC_ALL"}
    if not rig.fixed_places:
        elsewhere |= {"PWD", "USER_CODE_ROOT", "LD_LIBRARY_PATH", "PYTHONPATH", "NODE_PATH"}
        elsewhere |= {"TMPDIR", "TZ"}
    open_names = of_the_shell | elsewhere
    assert {k: v for k, v in environment.items() if k not in open_names} == {
        k: v for k, v in expected.items() if k not in open_names
    }


async def test_stdout_and_stderr_come_in_the_order_of_writing(rig: Rig) -> None:
    _, lines = await rig.run("for i in {1..300}; do echo out $i; echo err $i >&2; done")
    assert lines == [f"{stream} {i}" for i in range(1, 301) for stream in ("out", "err")]


async def test_a_border_parts_what_was_written_before_from_what_comes_after(rig: Rig) -> None:
    container, watcher = await rig.launch(f"echo up; {LINGER}")
    container.release()
    await watcher.said("up")
    order: list[str] = []
    container.flush(lambda: order.append("first"))
    container.flush(lambda: order.append("second"))
    await watcher.border(container)
    assert order == ["first", "second"]
    await container.destroy()
    await watcher.border(container)  # the end answers every border, also one that comes after it


async def test_a_flood_is_cut_at_what_the_platform_keeps(rig: Rig) -> None:
    container, watcher = await rig.launch("yes | head -n 2000000; echo done >/dev/null; exit 3")
    container.release()
    assert (await watcher.end()).code == 3
    assert watcher.data == b"y\n" * (len(watcher.data) // 2)
    assert len(watcher.data) // 2 > 5000
    assert len(watcher.data) + watcher.left_out == 4_000_000
    await container.destroy()


async def test_a_line_without_end_is_cut_and_does_not_hold_up_a_border(rig: Rig) -> None:
    container, watcher = await rig.launch(
        f"head -c 3000000 /dev/zero | tr '\\0' x; echo; echo next; {LINGER}", memory_mb=256
    )
    container.release()
    await watcher.said("next")
    await watcher.border(container)
    first, *rest = watcher.lines
    assert 8192 < len(first) <= 16384
    assert rest == ["next"]
    assert len(first) + watcher.left_out == 3_000_000
    await container.destroy()


async def test_bytes_that_are_no_text_come_as_they_are(rig: Rig) -> None:
    every = "".join(f"\\x{n:02x}" for n in range(256))
    container, watcher = await rig.launch(f"printf '{every}'; {LINGER}")
    container.release()
    await eventually(lambda: len(watcher.data) == 256)
    assert watcher.data == bytes(range(256))
    await container.destroy()


async def test_a_child_that_writes_on_does_not_hold_up_the_end(rig: Rig) -> None:
    container, watcher = await rig.launch("yes & echo started; exit 5")
    container.release()
    assert (await watcher.end()).code == 5
    assert "started" in watcher.lines
    await container.destroy()


async def test_a_closed_output_is_no_end(rig: Rig) -> None:
    container, watcher = await rig.launch(
        f"trap 'exit 4' TERM; echo up; exec >/dev/null 2>&1; {LINGER}"
    )
    container.release()
    await watcher.said("up")
    await watcher.border(container)
    container.send_signal(signal.SIGTERM)
    assert (await watcher.end()).code == 4
    await container.destroy()


async def test_all_output_is_there_when_the_end_is_reported(rig: Rig) -> None:
    container, watcher = await rig.launch(
        "yes $(head -c 999 /dev/zero | tr '\\0' x) | head -n 1000; printf end"
    )
    container.release()
    await watcher.end()
    assert len(watcher.data) == 1_000_003
    assert watcher.data.endswith(b"x\nend")


@pytest.mark.parametrize(
    ("bootstrap", "code"),
    [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137), ("kill -TERM $$", 143)],
)
async def test_the_exit_code_or_the_signal_is_reported(rig: Rig, bootstrap: str, code: int) -> None:
    end, _ = await rig.run(bootstrap)
    assert end.code == code
    assert not end.oom_killed


@pytest.mark.parametrize(
    ("bootstrap", "number", "code"),
    [
        ("#!/no/such/interpreter\n", errno.ENOENT, 127),
        ("#!/bin/bash\r\n", errno.ENOENT, 127),
        ("echo no line that names an interpreter\n", errno.ENOEXEC, 126),
        ("", errno.ENOEXEC, 126),
    ],
)
async def test_what_the_kernel_refuses_to_run_is_told_by_its_number(
    rig: Rig, bootstrap: str, number: int, code: int
) -> None:
    watcher = Watcher()
    digest = rig.packages.save(zip_of({"bootstrap": bootstrap})).digest
    container = await rig.engine.launch(rig.spec(digest), watcher)
    container.release()
    end = await watcher.end()
    assert (end.errno, end.stage, end.code) == (number, "exec", code)
    assert watcher.data == b""
    await container.destroy()


async def test_standard_input_is_empty_and_limits_are_set(rig: Rig) -> None:
    _, lines = await rig.run("cat; ulimit -n; ulimit -c; echo done")
    assert lines == ["1024", "0", "done"]


async def test_the_end_is_reported_once_also_by_destroy(rig: Rig) -> None:
    container, watcher = await rig.launch(f"echo up; {LINGER}")
    container.release()
    await watcher.said("up")
    await asyncio.gather(container.destroy(), container.destroy())
    await container.destroy()
    await watcher.end()
    assert len(watcher.exits) == 1


async def test_an_instance_that_was_never_released_can_be_destroyed(rig: Rig) -> None:
    container, watcher = await rig.launch("echo up")
    await container.destroy()
    await watcher.end()
    assert watcher.lines == []


async def test_what_the_bootstrap_left_running_does_not_hold_up_its_end(rig: Rig) -> None:
    end, lines = await rig.run("(setsid sleep 1000 &); setsid sleep 1000 & echo bye; exit 3")
    assert end.code == 3
    assert lines == ["bye"]


async def test_the_memory_peak_follows_what_is_used(rig: Rig) -> None:
    container, watcher = await rig.launch(f"{ALLOCATE.format(mb=40)}; {LINGER}", memory_mb=512)
    container.release()
    await watcher.said("allocated")
    await eventually(lambda: 40 * MB <= watcher.peak <= 512 * MB)
    assert watcher.oom_kills == 0
    await container.destroy()


async def test_a_border_tells_what_is_used_by_then(rig: Rig) -> None:
    container, watcher = await rig.launch(f"echo up; {ALLOCATE.format(mb=40)}; {LINGER}")
    container.release()
    await watcher.said("up")
    container.watch(closely=False)
    await watcher.said("allocated")
    await watcher.border(container)
    assert 40 * MB <= watcher.peak <= 128 * MB
    await container.destroy()


async def test_a_bootstrap_that_ended_has_a_memory_peak(rig: Rig) -> None:
    container, watcher = await rig.launch("echo hello")
    container.release()
    await watcher.end()
    assert 0 < watcher.peak <= 128 * MB
    await container.destroy()


async def test_a_bootstrap_over_its_memory_is_killed_and_reported(rig: Rig) -> None:
    container, watcher = await rig.launch("exec tail /dev/zero", memory_mb=64)
    container.release()
    end = await watcher.end()
    assert end.oom_killed
    assert end.code == 137
    await container.destroy()


async def test_a_child_over_the_memory_is_reported_though_the_bootstrap_lives(rig: Rig) -> None:
    container, watcher = await rig.launch(f"tail /dev/zero; {LINGER}", memory_mb=64)
    container.release()
    await eventually(lambda: watcher.oom_kills > 0)
    await container.destroy()


async def test_a_signal_reaches_the_bootstrap(rig: Rig) -> None:
    container, watcher = await rig.launch(f"trap 'echo caught; exit 5' TERM; echo up; {LINGER}")
    container.release()
    await watcher.said("up")
    container.send_signal(signal.SIGTERM)
    assert (await watcher.end()).code == 5
    assert watcher.lines == ["up", "caught"]


async def test_tmp_is_writable_and_private(rig: Rig) -> None:
    writer, writer_said = await rig.launch(
        'file=$(mktemp) && echo data >"$file" && cat "$file"; echo mine >"${TMPDIR:-/tmp}/here"'
    )
    writer.release()
    await writer_said.end()
    assert writer_said.lines == ["data"]
    _, lines = await rig.run('ls "${TMPDIR:-/tmp}"; echo listed')
    assert lines == ["listed"]
    await writer.destroy()


async def test_nothing_but_tmp_is_writable(rig: Rig) -> None:
    if not rig.fixed_places:
        pytest.skip("nothing is read-only without isolation")
    places = "/var/user / /opt /usr /etc /home/qcloud /dev /var"
    _, lines = await rig.run(
        f"for d in {places}; do : >$d/probe; done 2>/dev/null && echo wrote; ls -d /*/probe"
        " /var/user/probe /home/qcloud/probe 2>/dev/null; echo hidden >>bootstrap; true"
    )
    assert not [line for line in lines if "probe" in line and "cannot" not in line]
    assert "Read-only file system" in lines[-1] or "Permission denied" in lines[-1]


async def test_layers_are_merged_the_later_one_winning(rig: Rig) -> None:
    first = rig.save("", only_first="1", both="1")
    second = rig.save("", both="2")
    container, watcher = await rig.launch(
        'cd "${PYTHONPATH##*:}" && echo $(cat only_first both)', layers=(first, second)
    )
    container.release()
    assert (await watcher.end()).code == 0
    assert watcher.lines == ["12"]
    await container.destroy()


async def test_code_can_be_prepared_forgotten_and_prepared_again(rig: Rig) -> None:
    digest = rig.save("echo here")
    await asyncio.gather(rig.engine.prepare(digest, ()), rig.engine.prepare(digest, (digest,)))
    await rig.engine.forget(digest)
    await rig.engine.forget(digest)
    await rig.engine.prepare(digest, ())
    watcher = Watcher()
    container = await rig.engine.launch(rig.spec(digest), watcher)
    container.release()
    await watcher.end()
    assert watcher.lines == ["here"]
    await container.destroy()


async def test_code_stays_while_an_instance_runs_with_it(rig: Rig) -> None:
    digest = rig.save("ls")
    watcher = Watcher()
    container = await rig.engine.launch(rig.spec(digest), watcher)
    with pytest.raises(EngineError, match="in use") as caught:
        await rig.engine.forget(digest)
    assert caught.value.kind is EngineErrorKind.IN_USE
    container.release()
    await watcher.end()
    assert watcher.lines == ["bootstrap"]
    await container.destroy()
    await rig.engine.forget(digest)


async def test_closing_ends_instances_in_every_state(rig: Rig) -> None:
    waiting, _ = await rig.launch("echo never")
    running, running_said = await rig.launch(f"echo up; (setsid sleep 1000 &); {LINGER}")
    running.release()
    await running_said.said("up")
    ended, ended_said = await rig.launch("exit 1")
    ended.release()
    await ended_said.end()
    assert len({waiting.runtime_host, running.runtime_host, ended.runtime_host}) == 3


async def test_the_engine_says_what_it_is(rig: Rig) -> None:
    info = rig.engine.info
    assert info.version
    assert info.abi_parity == OURS.get(info.name, info.abi_parity)
    assert info.os_parity or "CentOS 7.6" in info.note


async def test_an_instance_runs_on_a_node_that_has_room_for_it(rig: Rig) -> None:
    container, _ = await rig.launch("true", memory_mb=128)
    assert rig.engine.capacity()[container.node] >= 128
    await container.destroy()
