"""``init --disks``: an empty ext4 in a sparse file, and a loop device that carries its label."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

MIB = 1024 * 1024
LOOP_GET_STATUS64, NAME = 0x4C05, slice(56, 120)


class Disks:
    """A directory for files, and a label that nobody else has."""

    def __init__(self, binary: Path, directory: Path) -> None:
        self.directory = directory
        self.label = f"scf:test-{secrets.token_hex(4)}"
        self.binary = binary

    def run(self, *wanted: str, label: str = "") -> subprocess.CompletedProcess[str]:
        command: list[str | Path] = [self.binary, "--disks", self.directory]
        command += [label or self.label, *wanted]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)

    def make(self, *ids: str) -> dict[str, str]:
        done = self.run(*(f"+{made}" for made in ids))
        if done.returncode and "loop" in done.stdout:
            pytest.skip(f"no loop devices here: {done.stdout}")
        assert done.returncode == 0, done.stdout
        return dict(line.split() for line in done.stdout.splitlines())

    def devices(self) -> dict[str, str]:
        """What the kernel has of this label, by the disks' names."""
        found = {}
        for path in Path("/sys/block").glob("loop*/loop"):
            device = f"/dev/{path.parent.name}"
            with contextlib.suppress(OSError), open(device, "rb") as file:
                name = fcntl.ioctl(file, LOOP_GET_STATUS64, bytes(232))[NAME].rstrip(b"\0").decode()
                if name.startswith(f"{self.label}/"):
                    found[name.removeprefix(f"{self.label}/")] = device
        return found

    def files(self) -> list[str]:
        return sorted(path.name for path in self.directory.iterdir())


@pytest.fixture
def disks(binary: Path, tmp_path: Path) -> Iterator[Disks]:
    if os.geteuid() != 0:
        pytest.skip("loop devices take root")
    (tmp_path / "disks").mkdir()
    disks = Disks(binary, tmp_path / "disks")
    yield disks
    disks.run()
    assert disks.devices() == {}


def test_a_disk_is_made_and_named(disks: Disks) -> None:
    made = disks.make("one", "two")
    assert disks.devices() == made
    assert disks.files() == ["one", "two"]


def test_it_costs_next_to_nothing_until_it_is_written(disks: Disks) -> None:
    disks.make("one")
    facts = (disks.directory / "one").stat()
    assert facts.st_size > 512 * MIB
    assert facts.st_blocks * 512 < MIB / 4


def test_the_file_system_is_sound(disks: Disks) -> None:
    checker = shutil.which("e2fsck") or shutil.which("e2fsck", path="/usr/sbin:/sbin")
    if checker is None:
        pytest.skip("e2fsck is not here: install e2fsprogs")
    disks.make("one")
    done = subprocess.run(
        [checker, "-f", "-n", disks.directory / "one"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert [line for line in done.stdout.splitlines() if not line.startswith("Pass ")][1:] == []


def test_what_is_not_kept_is_let_go(disks: Disks) -> None:
    disks.make("one", "two")
    assert disks.run("=two").returncode == 0
    assert list(disks.devices()) == ["two"]
    assert disks.files() == ["two"]


def test_one_run_keeps_makes_and_lets_go(disks: Disks) -> None:
    disks.make("one", "two")
    done = disks.run("=two", "+three")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["three"]
    assert sorted(disks.devices()) == ["three", "two"]


def test_what_others_have_is_left_alone(disks: Disks) -> None:
    disks.make("one")
    for label in (disks.label[:-1], f"{disks.label}x", "scf:other"):
        assert disks.run("=one", label=label).returncode == 0
    assert list(disks.devices()) == ["one"]


def test_a_read_only_device_of_others_is_no_hindrance(disks: Disks, tmp_path: Path) -> None:
    """Packages of snapd are such devices."""
    (tmp_path / "other").write_bytes(bytes(MIB))
    command: list[str | Path] = ["losetup", "--find", "--show", "--read-only", tmp_path / "other"]
    device = subprocess.run(
        command, capture_output=True, text=True, timeout=30, check=True
    ).stdout.strip()
    try:
        disks.make("one")
        done = disks.run("=one")
        assert (done.returncode, done.stdout) == (0, "")
    finally:
        subprocess.run(["losetup", "--detach", device], check=True, timeout=30)


def test_a_mounted_disk_goes_when_it_is_no_longer_mounted(disks: Disks, tmp_path: Path) -> None:
    device = disks.make("one")["one"]
    target = tmp_path / "mounted"
    target.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "ext4", "-o", "nosuid,nodev", device, target],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr}")
    try:
        assert list(target.iterdir()) == []
        assert target.stat().st_mode & 0o7777 == 0o1777
        assert disks.run().returncode == 0
        assert (list(disks.devices()), disks.files()) == (["one"], [])
        (target / "still").write_text("there")
    finally:
        subprocess.run(["umount", target], check=True, timeout=30)
    assert disks.devices() == {}


def test_an_id_that_is_there_already_is_refused(disks: Disks) -> None:
    disks.make("one")
    done = disks.run("=one", "+one")
    assert done.returncode == 1
    assert "File exists" in done.stdout
    assert list(disks.devices()) == ["one"]


def test_without_a_directory_and_a_label_it_says_how_it_is_used(disks: Disks) -> None:
    done = subprocess.run(
        [disks.binary, "--disks"], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 112
    assert "usage: init --disks DIRECTORY LABEL" in done.stdout
