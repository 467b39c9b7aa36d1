from __future__ import annotations

import base64
import io
import os
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest

from sandbox import limits
from sandbox.errors import LimitError, RequestError
from sandbox.packages.entries import Kind
from sandbox.packages.model import Bootstrap
from sandbox.packages.package import Package, decode_base64, digest_of, inspect
from tests.support.zips import BOOTSTRAP, WINDOWS, Item, file, folder, link, make_zip

if TYPE_CHECKING:
    from pathlib import Path


def tar_of(package: Package) -> dict[str, tarfile.TarInfo]:
    target = io.BytesIO()
    package.write_tar(target, uid=7, gid=8)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        return {member.name: member for member in tar.getmembers()}


def test_a_package_says_what_it_is() -> None:
    data = make_zip(BOOTSTRAP, file("lib/a.txt", b"12345"))
    ref = inspect(data).ref
    assert ref.digest == digest_of(data)
    assert ref.zip_bytes == len(data)
    assert ref.unpacked_bytes == len(BOOTSTRAP.data) + 5
    assert ref.bootstrap is Bootstrap.OK


def test_entries_come_parents_first_with_directories_that_are_only_implied() -> None:
    package = inspect(make_zip(file("a/b/c"), file("a-b"), file("a/b.txt"), BOOTSTRAP))
    assert list(package.entries) == ["a", "a/b", "a/b/c", "a/b.txt", "a-b", "bootstrap"]
    assert package.entries["a"].kind is Kind.DIRECTORY
    assert package.entries["a"].mode == 0o755


@pytest.mark.parametrize(
    ("items", "state"),
    [
        ([file("bootstrap", mode=0o755)], Bootstrap.OK),
        ([file("bootstrap", mode=0o777)], Bootstrap.OK),
        ([file("bootstrap", mode=0o644)], Bootstrap.NOT_EXECUTABLE),
        ([file("bootstrap", mode=0o700)], Bootstrap.NOT_EXECUTABLE),
        ([Item("bootstrap", b"x", stat.S_IFREG | 0o755, WINDOWS)], Bootstrap.NOT_EXECUTABLE),
        ([Item("bootstrap", b"x", 0)], Bootstrap.NOT_EXECUTABLE),
        ([file("demo/bootstrap", mode=0o755)], Bootstrap.MISSING),
        ([file("Bootstrap", mode=0o755)], Bootstrap.MISSING),
        ([folder("bootstrap"), file("x")], Bootstrap.MISSING),
        ([file("./bootstrap", mode=0o755)], Bootstrap.OK),
        ([link("bootstrap", "bin/run"), file("bin/run", mode=0o755)], Bootstrap.OK),
        ([link("bootstrap", "bin/run"), file("bin/run")], Bootstrap.NOT_EXECUTABLE),
        ([link("bootstrap", "bin/run")], Bootstrap.MISSING),
        ([link("bootstrap", "bin"), folder("bin")], Bootstrap.MISSING),
        ([link("bootstrap", "/var/user/run"), file("run", mode=0o755)], Bootstrap.OK),
        ([link("bootstrap", "/opt/run")], Bootstrap.OK),
    ],
)
def test_bootstrap_is_found_at_the_root_only_and_must_be_executable_by_others(
    items: list[Item], state: Bootstrap
) -> None:
    assert inspect(make_zip(*items)).ref.bootstrap is state


def test_modes_and_links_are_kept_and_set_id_bits_dropped() -> None:
    package = inspect(
        make_zip(
            BOOTSTRAP,
            file("suid", mode=0o6755),
            file("secret", mode=0o600),
            folder("shared", 0o1777),
            link("l", "shared"),
        )
    )
    tar = tar_of(package)
    assert tar["bootstrap"].mode == 0o755
    assert tar["suid"].mode == 0o755
    assert tar["secret"].mode == 0o600
    assert tar["shared"].mode == 0o777
    assert tar["shared"].isdir()
    assert tar["l"].issym()
    assert tar["l"].linkname == "shared"


def test_entries_made_on_windows_get_plain_modes() -> None:
    tar = tar_of(
        inspect(
            make_zip(
                Item("run.exe", b"x", stat.S_IFREG | 0o777, WINDOWS),
                Item("lib/", b"", 0, WINDOWS),
            )
        )
    )
    assert tar["run.exe"].mode == 0o644
    assert tar["lib"].mode == 0o755
    assert tar["lib"].isdir()


def test_tar_has_contents_times_and_owner() -> None:
    package = inspect(make_zip(file("a/long" + "g" * 150, b"contents"), BOOTSTRAP))
    target = io.BytesIO()
    package.write_tar(target, uid=7, gid=8)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        member = tar.getmember("a/long" + "g" * 150)
        assert (member.uid, member.gid) == (7, 8)
        assert member.mtime == 1715941230
        assert tar.getmember("a").mtime == 0
        source = tar.extractfile(member)
        assert source is not None
        assert source.read() == b"contents"


def test_impossible_dates_become_the_epoch() -> None:
    package = inspect(make_zip(Item("a", b"x", date=(1980, 0, 0, 0, 0, 0))))
    assert package.entries["a"].mtime == 0


def test_extract_writes_files_links_and_modes(tmp_path: Path) -> None:
    package = inspect(
        make_zip(
            BOOTSTRAP, folder("closed", 0o555), file("closed/f", b"data", 0o640), link("l", "f")
        )
    )
    target = tmp_path / "code"
    package.extract(target)
    assert stat.S_IMODE((target / "bootstrap").stat().st_mode) == 0o755
    assert stat.S_IMODE((target / "closed").stat().st_mode) == 0o555
    assert stat.S_IMODE((target / "closed/f").stat().st_mode) == 0o640
    assert (target / "closed/f").read_bytes() == b"data"
    assert os.readlink(target / "l") == "f"
    assert stat.S_IMODE(target.stat().st_mode) == 0o755


def test_extract_twice_is_harmless_and_leaves_no_half_unpacked_directory(tmp_path: Path) -> None:
    package = inspect(make_zip(BOOTSTRAP))
    for _ in range(2):
        package.extract(tmp_path / "deep" / "code")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["code"]


def test_extract_does_not_replace_a_file(tmp_path: Path) -> None:
    (tmp_path / "code").write_text("in the way")
    with pytest.raises(OSError, match="code"):
        inspect(make_zip(BOOTSTRAP)).extract(tmp_path / "code")
    assert [path.name for path in tmp_path.iterdir()] == ["code"]


def test_read_follows_links_and_stops_at_its_limit() -> None:
    package = inspect(make_zip(link("a", "d/b"), file("d/b", b"12345"), link("up", "d/../d/b")))
    assert package.read("a", 3) == b"123"
    assert package.read("up", 99) == b"12345"
    assert package.read("d", 99) is None
    assert package.read("nothing", 99) is None


def test_names_in_utf8_without_the_flag_are_read_when_made_on_unix() -> None:
    raw = make_zip(file("xxxxxx.txt", b"1")).replace(b"xxxxxx", "函数".encode())
    assert list(inspect(raw).entries) == ["函数.txt"]


def test_names_in_another_code_page_are_read_somehow() -> None:
    raw = make_zip(file("xxxx.txt", b"1")).replace(b"xxxx", "函数".encode("gbk"))
    assert len(inspect(raw).entries) == 1


def test_names_with_the_utf8_flag_are_read() -> None:
    assert list(inspect(make_zip(file("函数/é.txt"))).entries) == ["函数", "函数/é.txt"]


def test_a_directory_may_be_there_twice() -> None:
    assert list(inspect(make_zip(folder("a"), folder("a"), file("a/b"))).entries) == ["a", "a/b"]


def test_backslashes_are_part_of_names_made_on_unix() -> None:
    assert list(inspect(make_zip(file("a\\b"))).entries) == ["a\\b"]


def test_a_package_with_a_prefix_is_read_like_any_other() -> None:
    assert inspect(b"#!/bin/sh\n" + make_zip(BOOTSTRAP)).ref.bootstrap is Bootstrap.OK


def test_stored_entries_are_taken() -> None:
    data = make_zip(Item("a", b"plain", method=zipfile.ZIP_STORED))
    assert inspect(data).ref.unpacked_bytes == 5


@pytest.mark.parametrize("wrap", ["{}", " {}\n", "\r\n{}\t"])
def test_base64_is_decoded_with_white_space_around_and_within(wrap: str) -> None:
    data = bytes(range(256)) * 3
    text = base64.encodebytes(data).decode()
    assert decode_base64(wrap.format(text)) == data


@pytest.mark.parametrize(
    "text",
    ["", " \n", "a", "ab", "abc", "ab=", "====", "a-_b", "YWJj!", "YWJjé", "YQ==YQ==", "YQ===",
     "data:application/zip;base64,YWJj", "Y=WJ"],
)  # fmt: skip
def test_anything_else_is_not_base64(text: str) -> None:
    with pytest.raises(RequestError) as caught:
        decode_base64(text)
    assert caught.value.code == "InvalidParameterValue.ZipFileBase64BinasciiError"


def test_base64_above_the_limit_is_refused_before_it_is_decoded() -> None:
    text = "A" * (-(-limits.ZIP_BYTES // 3) * 4 + 4)
    with pytest.raises(LimitError, match="limit"):
        decode_base64(text)
