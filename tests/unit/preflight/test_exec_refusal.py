"""Why a bootstrap is not executed: the kernel of this machine refuses, and the check says why."""

from __future__ import annotations

import errno
import subprocess
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox.packages.contents import ZipContents
from sandbox.packages.package import inspect
from scf_sandbox.preflight import CENTOS_7, FileKind, FileStat, Finding, Level, explain_exec
from tests.support.elf import ARM64, elf, elf_32
from tests.support.zips import Item, file, folder, link, make_zip

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MACHO = bytes.fromhex("cffaedfe0c000001") + bytes(300)
SCRIPT = b"#!/bin/bash\nexit 0\n"
MUSL = "/lib/ld-musl-x86_64.so.1"


def explained(number: int, *items: Item, layers: tuple[Files, ...] = ()) -> Finding:
    package = inspect(make_zip(*items))
    with package.opened() as archive:
        return explain_exec(ZipContents(archive, package.entries), number, "exec", layers, CENTOS_7)


class Files:
    """A package of these files; all may be executed."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files = files
        self.asked = 0

    def names(self) -> Iterable[str]:
        return self.files

    def stat(self, path: str) -> FileStat | None:
        return FileStat(FileKind.FILE, 0o755) if path in self.files else None

    def head(self, path: str, limit: int) -> bytes:
        return self.part(path, 0, limit)

    def part(self, path: str, offset: int, size: int) -> bytes:
        assert offset >= 0
        assert size > 0
        self.asked += size
        return self.files[path][offset : offset + size]


def run(data: bytes) -> Item:
    return file("bootstrap", data, 0o755)


CASES: list[tuple[str, int, list[Item], tuple[str, ...]]] = [
    ("line-ends", errno.ENOENT, [run(SCRIPT.replace(b"\n", b"\r\n"))],
     ("CRLF", '"/bin/bash\\r"', "dos2unix")),
    ("interpreter-missing", errno.ENOENT, [run(b"#! /usr/local/bin/nodejs16 --x\n")],
     ("/usr/local/bin/nodejs16 ", "CentOS 7.6", "bring it")),
    ("interpreter-missing", errno.ENOENT,
     [run(b"#!/usr/local/bin/node16\n"), file("bin/node16", b"x"), file("x/node16", elf(), 0o755)],
     ("name /var/user/x/node16 there",)),
    ("interpreter-missing", errno.ENOENT, [run(b"#!python3.1\n")], ("python3.1",)),
    ("interpreter-missing", errno.ENOENT, [run(b"#!/usr/bin/python\n")],
     ("the stand-in for CentOS 7.6 (CentOS 7.6 itself has it)",)),
    ("line-ends", errno.ENOENT,
     [run(b"#!bin/run\n"), file("bin/run", SCRIPT.replace(b"\n", b"\r\n"), 0o755)],
     ("first line of bin/run ends",)),
    ("interpreter-missing", errno.ENOENT,
     [run(b"#!./run\n"), file("run", b"#!/nowhere/x\n", 0o755)],
     ("/nowhere/x", "first line of ./run")),
    ("loader-missing", errno.ENOENT, [run(elf(loader="/lib/ld-musl-none.so.1"))],
     ("/lib/ld-musl-none.so.1", "musl (Alpine)", "statically")),
    ("loader-missing", errno.ENOENT, [run(elf(loader="/nix/store/x-glibc/lib/ld.so"))],
     ("NixOS", "patchelf")),
    ("loader-missing", errno.ENOENT, [run(b"#!./node\n"), file("node", elf(loader="/gnu/store/l"),
     0o755)], ("./node needs the loader", "Guix")),
    ("loader-missing", errno.ENOENT, [run(elf_32(loader="/lib/ld-linux.so.2"))],
     ("/lib/ld-linux.so.2", "32-bit", "x86_64")),
    ("loader-missing", errno.ENOENT, [run(elf(loader="/somewhere/ld.so"))],
     ("/somewhere/ld.so", "another system")),
    ("wrong-machine", errno.ENOEXEC, [run(elf(ARM64))], ("ARM64 (aarch64)", "GOARCH=amd64")),
    ("wrong-machine", errno.ENOEXEC, [run(elf_32(20, order=">"))], ("PowerPC",)),
    ("wrong-machine", errno.ENOEXEC, [run(elf(4711))], ("machine 4711",)),
    ("wrong-machine", errno.ENOEXEC, [run(b"#!./node -x\n"), file("node", elf(ARM64), 0o755)],
     ("its interpreter ./node is a program for ARM64",)),
    ("no-first-line", errno.ENOEXEC, [run(b"#!./run\n"), file("run", b"echo", 0o755)],
     ("its interpreter ./run does not begin",)),
    ("program-damaged", errno.ENOEXEC, [run(b"\x7fELF")], ("build it anew",)),
    ("wrong-system", errno.ENOEXEC, [run(MACHO)], ("macOS (Mach-O)", "GOOS=linux")),
    ("wrong-system", errno.ENOEXEC, [run(b"\xca\xfe\xba\xbe\0\0\0\2" + bytes(99))], ("macOS",)),
    ("wrong-system", errno.ENOEXEC, [run(b"\xca\xfe\xba\xbe\0\0\0\x34" + bytes(99))], ("Java",)),
    ("wrong-system", errno.ENOEXEC, [run(b"MZ\x90\0" + bytes(99))], ("Windows (PE)",)),
    ("wrong-system", errno.ENOEXEC, [run("#!/bin/sh\n".encode("utf-16"))], ("UTF-16",)),
    ("no-first-line", errno.ENOEXEC, [run(b"echo\n")],
     ("Exec format error", "does not begin with #!", "#!/bin/bash")),
    ("byte-order-mark", errno.ENOEXEC, [run(b"\xef\xbb\xbf" + SCRIPT)],
     ("Exec format error", "byte-order mark", "without BOM")),
    ("bootstrap-empty", errno.ENOEXEC, [run(b"")], ("it is empty",)),
    ("first-line-unusable", errno.ENOEXEC, [run(b"#!\n")], ("names no interpreter",)),
    ("first-line-unusable", errno.ENOEXEC, [run(b"#!" + b"/x" * 200 + b"\n")], ("256 bytes",)),
    ("bootstrap-not-executable", errno.EACCES, [file("bootstrap", SCRIPT, 0o644)], ("chmod 755",)),
    ("interpreter-unusable", errno.EACCES, [run(b"#!./run\n"), file("run", SCRIPT)],
     ("./run", "is not executable")),
    ("interpreter-unusable", errno.EACCES, [run(b"#!./bin\n"), folder("bin")],
     ("./bin", "is a directory")),
    ("links-too-deep", errno.ELOOP, [run(b"#!./bootstrap\n")], ("a script of a script",)),
    ("bootstrap-missing", errno.ENOENT, [file("index.sh")], ("zip the files themselves",)),
    ("bootstrap-missing", errno.EACCES, [folder("bootstrap"), file("x")], ("is a directory",)),
]  # fmt: skip


@pytest.mark.parametrize(
    ("code", "number", "items", "words"), CASES, ids=[f"{c[0]}-{n}" for n, c in enumerate(CASES)]
)
def test_what_the_kernel_refuses_is_explained(
    code: str, number: int, items: list[Item], words: tuple[str, ...], tmp_path: Path
) -> None:
    place = tmp_path / "code"
    inspect(make_zip(*items)).extract(place)
    with pytest.raises(OSError) as refused:  # noqa: PT011 - the errno is looked at below
        subprocess.run(["./bootstrap"], cwd=place, executable="./bootstrap")
    assert refused.value.errno == number
    found = explained(number, *items)
    assert found.code == code
    assert found.level is Level.ERROR
    for word in words:
        assert word in found.message
    assert found.message.isprintable()


@pytest.mark.parametrize(
    ("items", "words"),
    [
        ([file("demo/bootstrap"), file("__MACOSX/demo/._bootstrap"), file("__MACOSX/bootstrap")],
         "demo/bootstrap is there: zip what is in demo, not it"),
        ([file("a/b/bootstrap"), file("z/bootstrap")], "z/bootstrap is there"),
        ([file("scf_bootstrap")], "scf_bootstrap is there: name it bootstrap"),
        ([file("bootstrap.sh")], "bootstrap.sh is there: name it bootstrap"),
        ([file("Bootstrap")], "Bootstrap is there: name it bootstrap"),
        ([file("bootstrap ")], "bootstrap  is there: name it bootstrap"),
        ([link("bootstrap", "nowhere")], "a link that leads nowhere"),
        ([folder("bootstrap"), file("bootstrap/bootstrap")], "zip what is in bootstrap"),
        ([file("my/bootstrap.sh"), file("bootstrapper")], "zip the files themselves"),
    ],
)  # fmt: skip
def test_what_lies_there_instead_of_bootstrap_is_named(items: list[Item], words: str) -> None:
    finding = explained(errno.ENOENT, *items)
    assert finding.code == "bootstrap-missing"
    assert words in finding.message
    assert inspect(make_zip(*items)).ref.findings == (finding,)


def test_an_interpreter_in_a_layer_is_found_there_and_followed() -> None:
    script = run(b"#!/opt/python/bin/python3\n")
    musl = Files({"python/bin/python3": elf(loader=MUSL)})
    good = Files({"python/bin/python3": elf()})
    assert explained(errno.ENOENT, script).code == "interpreter-missing"
    assert MUSL in explained(errno.ENOENT, script, layers=(good, musl)).reason
    assert explained(errno.ENOENT, script, layers=(musl, good)).code == "file-missing"
    elsewhere = run(b"#!/usr/bin/python3\n")
    assert "/opt/python/bin/python3" in explained(errno.ENOENT, elsewhere, layers=(good,)).fix


def test_an_interpreter_below_a_link_is_found() -> None:
    items = [
        run(b"#!./bin/x\n"),
        link("bin", "usr/bin"),
        file("usr/bin/x", elf(loader=MUSL), 0o755),
    ]
    assert explained(errno.ENOENT, *items).code == "loader-missing"


def test_a_bootstrap_that_leads_into_a_layer_is_not_guessed_at() -> None:
    assert "bind the layer" in explained(errno.ENOENT, link("bootstrap", "/opt/run")).fix


def test_what_is_not_the_packages_fault_is_said_so() -> None:
    found = explain_exec(Files({"bootstrap": SCRIPT}), errno.EAGAIN, "fork")
    assert found.message == (
        "the system did not let ./bootstrap be started (Resource temporarily unavailable, at fork);"
        " invoke again; if it stays, see what else the machine runs"
    )
    large = explain_exec(Files({"bootstrap": SCRIPT}), errno.E2BIG, "exec")
    assert "environment is too large" in large.reason
    noexec = explain_exec(Files({"bootstrap": SCRIPT}), errno.EACCES, "exec")
    assert "noexec" in noexec.reason
    assert "errno 4711" in explain_exec(Files({"bootstrap": SCRIPT}), 4711, "exec").reason


heads = (
    st.sampled_from([b"#!", b"#! /bin/sh\r\n", b"\x7fELF\2\1\1", b"\x7fELF\1\2\1", b"MZ"])
    | st.just(elf(loader=MUSL, needs=("GLIBC_2.34",)))
    | st.just(elf_32())
)  # fmt: skip
contents = st.builds(lambda head, rest: head + rest, heads, st.binary(max_size=100)) | st.binary()
numbers = st.sampled_from([1, 2, 7, 8, 11, 12, 13, 20, 21, 22, 26, 36, 40, 80]) | st.integers()


@settings(max_examples=400, deadline=None)
@given(contents, contents, st.sampled_from(["./x", "/opt/x", "/x", "x/../x", "\0", "é"]), numbers)
def test_whatever_is_in_a_package_the_answer_comes_with_few_reads(
    data: bytes, other: bytes, name: str, number: int
) -> None:
    for bootstrap in (data, b"#!" + name.encode() + b"\n" + data):
        package = Files({"bootstrap": bootstrap, "x": other})
        layer = Files({"x": other})
        found = explain_exec(package, number, "exec", [layer])
        assert found.message.isprintable()
        assert len(found.message) < 2000
        assert package.asked + layer.asked < 64 * 1024
