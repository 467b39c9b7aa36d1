"""What common unpackers take without harm is taken, and said where it was guessed or changed."""

from __future__ import annotations

import binascii
import io
import os
import shutil
import stat
import struct
import subprocess
import zipfile
from typing import TYPE_CHECKING

import pytest

from sandbox.packages.model import Bootstrap, CodeRef
from sandbox.packages.package import Package, PackageStore, inspect
from scf_sandbox.preflight import Level
from tests.support.zips import (
    BOOTSTRAP,
    UNIX,
    WINDOWS,
    Item,
    file,
    folder,
    link,
    make_zip,
    streamed_zip,
)

if TYPE_CHECKING:
    from pathlib import Path

NTFS = 10


def dos(name: str, data: bytes = b"x", system: int = WINDOWS) -> Item:
    return Item(name, data, 0, system)


def codes(package: Package) -> list[str]:
    return [finding.code for finding in package.ref.guesses]


def content(package: Package, path: str) -> bytes | None:
    return package.read(path, 99)


def unicode_path(name: str, stored: str) -> bytes:
    """The extra field of Info-ZIP that tells the true name of what is stored as another one."""
    data = struct.pack("<BL", 1, binascii.crc32(stored.encode("cp437"))) + name.encode()
    return struct.pack("<HH", 0x7075, len(data)) + data


def raw_name(raw: bytes, system: int, extra: bytes = b"") -> bytes:
    """A zip with one file of this name, without the flag for UTF-8."""
    placeholder = "x" * len(raw)
    return make_zip(Item(placeholder, b"x", 0o100644, system, extra=extra)).replace(
        placeholder.encode(), raw
    )


# ---------------------------------------------------------------- the last one wins


@pytest.mark.parametrize("first", ["a", "./a", ".//a", "/a"])
@pytest.mark.parametrize("second", ["a", "./a"])
def test_of_two_files_of_one_path_the_last_one_wins(first: str, second: str) -> None:
    package = inspect(make_zip(BOOTSTRAP, file(first, b"old"), file(second, b"new", 0o600)))
    assert content(package, "a") == b"new"
    assert package.entries["a"].mode == 0o600
    assert package.ref.unpacked_bytes == len(BOOTSTRAP.data) + 3
    assert "name-repeated" in codes(package)


def test_a_link_and_a_file_of_one_path_take_each_others_place() -> None:
    """Nothing is written through the link."""
    package = inspect(make_zip(file("b", b"b"), link("a", "b"), file("a", b"new")))
    assert (content(package, "a"), content(package, "b")) == (b"new", b"b")
    package = inspect(make_zip(file("b", b"b"), file("a", b"old"), link("a", "b")))
    assert package.entries["a"].target == "b"


def test_a_bootstrap_that_is_there_twice_has_the_last_ones_mode() -> None:
    assert inspect(make_zip(BOOTSTRAP, file("bootstrap"))).ref.bootstrap is Bootstrap.NOT_EXECUTABLE
    assert inspect(make_zip(file("bootstrap"), BOOTSTRAP)).ref.bootstrap is Bootstrap.OK


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("system", [WINDOWS, NTFS, 14])
def test_backslashes_of_windows_are_separators(system: int) -> None:
    package = inspect(
        make_zip(
            BOOTSTRAP,
            dos("lib\\a.txt", b"a", system),
            dos("lib\\empty\\", b"", system),
            dos("lib/b\\c", b"c", system),
        )
    )
    found = ["bootstrap", "lib", "lib/a.txt", "lib/b", "lib/b/c", "lib/empty"]
    assert list(package.entries) == found
    assert content(package, "lib/a.txt") == b"a"
    assert package.entries["lib/empty"].mode == 0o755
    assert codes(package) == ["backslashes-as-separators", "mode-missing"]
    assert package.ref.guesses[0].message == (
        r"'lib\\a.txt' has backslashes between its parts, which are taken as folders:"
        " it is 'lib/a.txt' (and 2 more like it);"
        " make the zip with a tool that writes forward slashes"
    )


def test_backslashes_of_unix_stay_and_are_told() -> None:
    package = inspect(make_zip(file("..\\a\\b")))
    assert list(package.entries) == ["..\\a\\b"]
    assert codes(package) == ["backslash-in-name"]


@pytest.mark.parametrize(
    ("name", "path"),
    [("/etc/x", "etc/x"), ("//x", "x"), ("///d/x", "d/x"), ("/./x", "x")],
)
def test_absolute_paths_are_taken_from_the_root(name: str, path: str) -> None:
    package = inspect(make_zip(file(name)))
    assert list(package.entries)[-1] == path
    assert codes(package) == ["absolute-path"]


@pytest.mark.parametrize(
    ("name", "path"),
    [("C:\\d\\x", "d/x"), ("C:x", "x"), ("c:/x", "x"), ("\\x", "x"), ("\\\\server\\x", "server/x")],
)
def test_drives_of_windows_are_left_out(name: str, path: str) -> None:
    package = inspect(make_zip(dos(name)))
    assert list(package.entries)[-1] == path
    assert "absolute-path" in codes(package)


def test_a_colon_in_a_name_made_on_unix_stays() -> None:
    assert list(inspect(make_zip(file("C:x"))).entries) == ["C:x"]


@pytest.mark.parametrize(
    "name", ["a. ", "b...", " c", "...", "con", "a:b", "a?*", "\n", "-rf", "~"]
)
def test_names_that_linux_takes_are_taken_without_a_word(name: str) -> None:
    package = inspect(make_zip(file(name)))
    assert list(package.entries) == [name]
    assert codes(package) == []


def test_names_that_differ_in_case_are_different() -> None:
    package = inspect(make_zip(file("A", b"1"), file("a", b"2")))
    assert (content(package, "A"), content(package, "a")) == (b"1", b"2")


def test_tar_like_names_are_taken() -> None:
    package = inspect(make_zip(folder("."), folder("./d"), file("./d//x"), dos("e/.", b"")))
    assert list(package.entries) == ["d", "d/x", "e"]
    assert package.entries["e"].kind.value == "directory"
    assert codes(package) == []


def test_a_file_without_a_name_is_left_out_and_told() -> None:
    package = inspect(make_zip(BOOTSTRAP, file("/")))
    assert list(package.entries) == ["bootstrap"]
    assert codes(package) == ["absolute-path", "entry-without-name"]


def test_utf8_without_the_flag_is_read_and_told_where_it_is_no_custom() -> None:
    raw = "函数.txt".encode()
    assert codes(inspect(raw_name(raw, UNIX))) == []
    package = inspect(raw_name(raw, WINDOWS))
    assert list(package.entries) == ["函数.txt"]
    assert codes(package) == ["name-guessed", "mode-missing"]


@pytest.mark.parametrize("system", [UNIX, WINDOWS])
def test_other_names_without_the_flag_are_read_as_code_page_437(system: int) -> None:
    package = inspect(raw_name(b"caf\x82", system))
    assert list(package.entries) == ["café"]
    assert "name-guessed-cp437" in codes(package)


def test_the_name_that_an_extra_field_tells_is_taken() -> None:
    package = inspect(raw_name(b"caf\x82", UNIX, unicode_path("函数", "café")))
    assert list(package.entries) == ["函数"]
    assert codes(package) == []
    assert list(inspect(make_zip(Item("x", extra=unicode_path("é", "x")))).entries) == ["é"]


@pytest.mark.parametrize(
    "extra",
    [unicode_path("é", "other"), unicode_path("", "x"), b"up\1\0\1", b"\xfe\xca\2\0up"],
)
def test_an_extra_field_for_another_name_is_passed_over(extra: bytes) -> None:
    assert list(inspect(make_zip(Item("x", extra=extra))).entries) == ["x"]


def test_a_name_in_an_extra_field_is_checked_like_any_other() -> None:
    with pytest.raises(Exception, match="leads out"):
        inspect(make_zip(Item("x", extra=unicode_path("../x", "x"))))


# ---------------------------------------------------------------- kinds and modes


@pytest.mark.parametrize("system", [WINDOWS, NTFS, 7, 2, 99])
def test_makers_without_modes_give_no_right_to_execute(system: int) -> None:
    """As of unpackers, so that a bootstrap made on Windows fails here as in the cloud."""
    package = inspect(
        make_zip(
            Item("bootstrap", b"#!/bin/bash\n", 0o100755, system),
            Item("tool", b"\x7fELF", 0o100755, system),
        )
    )
    assert {entry.mode for entry in package.entries.values()} == {0o644}
    assert package.ref.bootstrap is Bootstrap.NOT_EXECUTABLE
    assert [(f.code, f.file) for f in package.ref.findings] == [
        ("bootstrap-not-executable", "bootstrap"),
        ("mode-missing", "tool"),
    ]


@pytest.mark.parametrize("system", [UNIX, 16, 19, 30])
def test_makers_with_modes_keep_them(system: int) -> None:
    package = inspect(make_zip(Item("bootstrap", b"x", 0o100755, system)))
    assert package.ref.findings == ()


@pytest.mark.parametrize(
    "kind", [stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, 0o130000]
)
def test_special_files_become_plain_ones(kind: int, tmp_path: Path) -> None:
    package = inspect(make_zip(BOOTSTRAP, Item("dev", b"", kind | 0o644)))
    package.extract(tmp_path / "code")
    assert stat.S_ISREG((tmp_path / "code/dev").lstat().st_mode)
    assert codes(package) == ["special-file"]


def test_a_directory_may_come_late_or_never_or_by_its_attribute_only() -> None:
    package = inspect(
        make_zip(file("d/f"), folder("d", 0o700), file("e/f"), Item("g", b"", 0, 0, dos=0x10))
    )
    assert package.entries["d"].mode == 0o700
    assert package.entries["e"].mode == 0o755
    assert package.entries["g"].kind.value == "directory"


# ---------------------------------------------------------------- the frame


def test_data_descriptors_are_taken() -> None:
    package = inspect(streamed_zip(BOOTSTRAP, file("a", b"data")))
    assert content(package, "a") == b"data"
    assert codes(package) == []


def test_zip64_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 3)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    data = make_zip(BOOTSTRAP, file("a", b"data"))
    assert b"PK\6\6" in data
    assert content(inspect(data), "a") == b"data"
    assert content(inspect(b"MZ" + bytes(99) + data), "a") == b"data"


@pytest.mark.parametrize("before", [b"", b"MZ" + bytes(70_000), b"#!/bin/sh\n"])
@pytest.mark.parametrize("after", [b"", b"\n", bytes(60_000)])
def test_what_stands_before_and_after_is_passed_over(before: bytes, after: bytes) -> None:
    package = inspect(before + make_zip(BOOTSTRAP, file("a", b"data")) + after)
    assert content(package, "a") == b"data"
    assert codes(package) == []


@pytest.mark.parametrize("item", [file("lib/a", b"data"), link("lib/a", "../data")])
def test_of_two_names_of_an_entry_the_directorys_is_taken(item: Item, tmp_path: Path) -> None:
    """Some tools write the one before the data in another way."""
    data = make_zip(BOOTSTRAP, item).replace(b"lib/a", b"lib\\a", 1)
    store = PackageStore(tmp_path / "store")
    ref = store.save(data)
    assert [finding.code for finding in ref.guesses] == ["two-names"]
    package = store.open(ref.digest)
    package.extract(tmp_path / "code")
    place = tmp_path / "code/lib/a"
    assert item.data == (os.readlink(place).encode() if place.is_symlink() else place.read_bytes())
    package.write_tar(io.BytesIO())


def test_the_name_before_the_data_may_have_another_encoding() -> None:
    data = bytearray(make_zip(BOOTSTRAP, file("é", b"data")))
    data[data.rindex(b"PK\3\4") + 7] &= 0xF7  # no flag for UTF-8, only there
    package = inspect(bytes(data))
    assert content(package, "é") == b"data"


def test_extra_times_and_owners_are_passed_over() -> None:
    extra = struct.pack("<HHBL", 0x5455, 5, 1, 1) + struct.pack(
        "<HHBBLBL", 0x7875, 11, 1, 4, 0, 4, 0
    )
    assert codes(inspect(make_zip(Item("a", extra=extra)))) == []


# ---------------------------------------------------------------- what is told


def test_warnings_come_back_from_disk(tmp_path: Path) -> None:
    store = PackageStore(tmp_path)
    ref = store.save(make_zip(BOOTSTRAP, dos("lib\\a"), file("/b")))
    assert {finding.level for finding in ref.findings} == {Level.WARNING}
    assert CodeRef.model_validate_json(ref.model_dump_json()) == ref
    assert store.open(ref.digest).ref == ref


def test_warnings_are_few_and_short_however_much_was_changed() -> None:
    package = inspect(make_zip(*(dos("\\" * 9000 + f"d{i}\\é" + "x" * 200) for i in range(50))))
    assert codes(package) == ["backslashes-as-separators", "absolute-path", "mode-missing"]
    assert all(len(finding.message) < 1500 for finding in package.ref.guesses)
    assert "49 more" in package.ref.guesses[0].message


# ---------------------------------------------------------------- beside real unpackers

EVERY = ("unzip", "bsdtar")
TABLE = {
    "twice": (EVERY, make_zip(file("a", b"old"), file("a", b"new", 0o755))),
    "twice with a dot": (EVERY, make_zip(file("./a", b"old"), file("a", b"new"))),
    "a link over a file": (EVERY, make_zip(file("b"), file("a", b"old"), link("a", "b"))),
    "a file over a link": (EVERY, make_zip(file("b"), link("a", "b"), file("a", b"new"))),
    "backslashes": (EVERY, make_zip(dos("lib\\a"), dos("lib\\d\\e"))),
    "backslashes of NTFS": (("bsdtar",), make_zip(dos("lib\\a", system=NTFS))),
    "backslashes of Unix": (("unzip",), make_zip(file("a\\b"))),
    "absolute": (EVERY, make_zip(file("/etc/x"), file("//y"), file("///z/w"))),
    "drives": (("bsdtar",), make_zip(dos("C:\\a\\b"), dos("C:c"), dos("C:/d/e"))),
    "late directory": (EVERY, make_zip(file("d/f"), folder("d"), folder("empty"))),
    "no modes": (EVERY, make_zip(dos("a", b"#!/bin/sh\n"), dos("d/", b""))),
    "modes of a maker without": (EVERY, make_zip(Item("a", b"x", 0o100755, WINDOWS))),
    "special": (EVERY, make_zip(Item("p", b"", stat.S_IFIFO | 0o644))),
    "dots, blanks and case": (EVERY, make_zip(file("a. "), file("b..."), file(" c"), file("A. "))),
    "a directory with data": (("unzip",), make_zip(Item("d/", b"x", 0o100755), file("d/f"))),
    "streamed": (EVERY, streamed_zip(file("a", b"data"), folder("d"))),
    "self-extracting": (EVERY, b"MZ" + bytes(999) + make_zip(BOOTSTRAP)),
    "junk behind": (EVERY, make_zip(BOOTSTRAP) + bytes(999)),
    "two names": (("unzip",), make_zip(file("a/b"), BOOTSTRAP).replace(b"a/b", b"a\\b", 1)),
    "UTF-8 without flag": (EVERY, raw_name("函数".encode(), UNIX)),
    "the name in an extra field": (EVERY, raw_name(b"caf\x82", UNIX, unicode_path("é", "café"))),
}


@pytest.mark.parametrize(
    ("tool", "data"),
    [
        pytest.param(
            tool,
            data,
            id=f"{tool}-{case}",
            marks=pytest.mark.skipif(not shutil.which(tool), reason=f"{tool} is not installed"),
        )
        for case, (tools, data) in TABLE.items()
        for tool in tools
    ],
)
def test_real_unpackers_make_the_same_of_it(tool: str, data: bytes, tmp_path: Path) -> None:
    theirs, ours, source = tmp_path / "theirs", tmp_path / "ours", tmp_path / "a.zip"
    theirs.mkdir()
    source.write_bytes(data)
    arguments = {
        "unzip": ["-o", "-q", str(source), "-d", str(theirs)],
        "bsdtar": ["-xf", str(source), "-C", str(theirs)],
    }
    subprocess.run(
        [tool, *arguments[tool]],
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=20,
        check=False,  # warnings have exit codes too
    )
    inspect(data).extract(ours)
    assert tree(ours) == tree(theirs)


def tree(root: Path) -> dict[str, tuple[str, bytes, bool]]:
    """What is below ``root``: kind, contents, and whether others may execute it."""
    return {str(path.relative_to(root)): seen(path) for path in root.rglob("*")}


def seen(path: Path) -> tuple[str, bytes, bool]:
    if path.is_symlink():
        return "link", os.fsencode(path.readlink()), False
    if path.is_dir():
        return "directory", b"", False
    return "file", path.read_bytes(), bool(path.stat().st_mode & 0o001)
