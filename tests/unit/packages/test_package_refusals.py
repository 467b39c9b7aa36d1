from __future__ import annotations

import io
import stat
import struct
import tarfile
import zipfile
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sandbox import limits
from sandbox.errors import LimitError, RequestError
from sandbox.packages import archive
from sandbox.packages.package import Package, inspect
from tests.support.zips import (
    BOOTSTRAP,
    UNIX,
    WINDOWS,
    Item,
    file,
    folder,
    link,
    make_zip,
    patch_central,
    patch_local,
    with_claimed_size,
)

if TYPE_CHECKING:
    from pathlib import Path


def refused(data: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        inspect(data)
    assert caught.value.code == "InvalidParameterValue.ZipFile"
    return caught.value


def too_large(data: bytes) -> None:
    with pytest.raises(LimitError) as caught:
        inspect(data)
    assert caught.value.code == "InvalidParameterValue.LimitExceeded"


@pytest.mark.parametrize("data", [b"", b"hello", b"PK\5\6", b"\x1f\x8b" + b"x" * 100])
def test_what_is_no_zip_is_refused(data: bytes) -> None:
    assert "not a zip" in refused(data).message


@pytest.mark.parametrize("items", [[], [folder(".")]])
def test_an_empty_zip_is_refused(items: list[Item]) -> None:
    assert "empty" in refused(make_zip(*items)).message


@pytest.mark.parametrize(
    "name",
    ["../a", "a/../../b", "a/..", "..", "/../etc/passwd", "//..", "../", "./../a", "a/../b"],
)
def test_names_that_lead_out_are_refused(name: str) -> None:
    refused(make_zip(BOOTSTRAP, file(name)))


@pytest.mark.parametrize(
    "name", ["..\\a", "a\\..\\..\\b", "C:..\\a", "C:\\..\\a", "\\..", "..\\", "a/..\\b"]
)
def test_windows_names_that_lead_out_are_refused(name: str) -> None:
    assert "leads out" in refused(make_zip(BOOTSTRAP, Item(name, b"x", 0, WINDOWS))).message


def test_names_too_long_for_the_file_system_are_refused() -> None:
    assert "256 bytes in it; Linux takes 255" in refused(make_zip(file("a" * 256))).message
    assert "258 bytes" in refused(make_zip(file("函" * 86))).message
    inspect(make_zip(file("函" * 85)))
    long = "/".join(["a" * 200] * 21)
    assert f"is {len(long)} bytes long" in refused(make_zip(file(long))).message


def test_a_name_with_a_nul_is_refused() -> None:
    refused(make_zip(file("aXb")).replace(b"aXb", b"a\0b"))


def test_a_link_with_the_name_of_a_directory_is_refused() -> None:
    refused(make_zip(BOOTSTRAP, Item("l/", b"bootstrap", stat.S_IFLNK | 0o777)))


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "..", "../x", "a/../../x", "/", "/opt/../etc", "/optional", "/var/user/..",
     "/var/user/../lib", "/var/username"],
)  # fmt: skip
def test_links_that_lead_out_are_refused(target: str) -> None:
    assert "leads out" in refused(make_zip(BOOTSTRAP, link("l", target))).message


@pytest.mark.parametrize(
    "target", ["bootstrap", "./bootstrap", "d/../bootstrap", "nothing", "/opt/lib", "/var/user/d"]
)
def test_links_that_stay_within_are_taken(target: str) -> None:
    assert inspect(make_zip(BOOTSTRAP, link("l", target))).entries["l"].target == target


def test_links_that_lead_out_through_other_links_are_refused() -> None:
    # d/e/up is the root, so through/.. is above it, though "d/through/.." looks harmless.
    chain = [link("d/e/up", "../.."), link("x", "d/e/up/..")]
    assert "leads out" in refused(make_zip(*chain)).message
    jump = [link("a", "/var/user"), link("b", "a/../etc")]
    assert "leads out" in refused(make_zip(*jump)).message


@pytest.mark.parametrize(
    "items", [[link("a", "a")], [link("a", "b"), link("b", "a")], [link("d/a", "../d/a/x")]]
)
def test_links_in_a_circle_are_refused(items: list[Item]) -> None:
    assert "circle" in refused(make_zip(*items)).message


def test_a_link_without_or_with_an_endless_target_is_refused() -> None:
    refused(make_zip(link("l", "")))
    refused(make_zip(link("l", "a" * 2000)))
    refused(make_zip(link("l", "a\0b")))


@pytest.mark.parametrize(
    "items",
    [
        [link("d", "e"), file("d/f")],
        [file("d/f"), link("d", "e")],
        [file("d"), file("d/e/f")],
        [file("a"), folder("a")],
        [folder("a"), file("a")],
        [folder("a"), link("a", "b"), folder("b")],
        [link("a", "b"), folder("b"), folder("a")],
        [file("d"), link("d", "e"), file("d/f"), folder("e")],
    ],
)
def test_entries_that_write_over_or_through_others_are_refused(items: list[Item]) -> None:
    refused(make_zip(*items))


def test_encrypted_entries_are_refused() -> None:
    data = make_zip(file("secret", b"x" * 20))
    encrypted = patch_local(patch_central(data, "secret", 8, b"\1"), "secret", 6, b"\1")
    assert "password" in refused(encrypted).message


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_compression_is_refused(method: int) -> None:
    assert "deflate" in refused(make_zip(Item("a", b"x" * 99, method=method))).message


def test_an_unknown_compression_method_is_refused() -> None:
    refused(patch_central(make_zip(file("a")), "a", 10, b"\x63"))


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_damaged_contents_are_refused(method: int) -> None:
    data = bytearray(make_zip(Item("a", bytes(range(256)) * 8, method=method)))
    data[60] ^= 0xFF
    assert "damaged" in refused(bytes(data)).message


def test_a_truncated_zip_is_refused() -> None:
    data = make_zip(file("a", b"x" * 1000), BOOTSTRAP)
    for cut in range(0, len(data), 7):
        refused(data[:cut])


def test_a_zip_above_the_limit_is_refused() -> None:
    too_large(b"PK" + bytes(limits.ZIP_BYTES))


def test_a_bomb_is_refused_by_what_it_claims() -> None:
    data = make_zip(file("bomb", b"\0" * 1000))
    too_large(with_claimed_size(data, "bomb", limits.CODE_BYTES + 1))


def test_a_bomb_is_refused_by_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CODE_BYTES", 100_000)
    too_large(make_zip(*(file(f"f{i}", b"\0" * 30_000) for i in range(4))))
    inspect(make_zip(*(file(f"f{i}", b"\0" * 30_000) for i in range(3))))


@pytest.mark.parametrize("claim", [0, 1, 999, 1001, 50_000])
def test_sizes_that_headers_make_up_are_refused(claim: int) -> None:
    refused(with_claimed_size(make_zip(file("liar", b"\0" * 1000)), "liar", claim))


def test_more_entries_than_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    inspect(make_zip(*(file(f"f{i}") for i in range(10))))
    many = make_zip(*(file(f"f{i}") for i in range(11)))
    too_large(many)
    end = many.rindex(b"PK\5\6")
    too_large(many[: end + 8] + struct.pack("<HH", 1, 1) + many[end + 12 :])


def test_deep_paths_count_as_the_directories_they_imply(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_ENTRIES", 10)
    too_large(make_zip(file("/".join("abcdefghijkl"))))


names = st.lists(
    st.sampled_from(["..", ".", "", "a", "b", "c", "a b", "é", "\\", "C:"]), min_size=1, max_size=4
).map("/".join)
items = st.builds(
    Item,
    name=names,
    data=names.map(str.encode),
    mode=st.sampled_from([0, 0o100644, 0o100755, 0o120777, 0o40755, 0o10644]),
    system=st.sampled_from([UNIX, WINDOWS]),
)


def taken(data: bytes) -> Package | None:
    try:
        return inspect(data)
    except (RequestError, LimitError):
        return None


@settings(max_examples=200, deadline=None)
@given(st.lists(items, min_size=1, max_size=6))
def test_whatever_is_taken_unpacks_within_its_directory(
    tmp_path_factory: pytest.TempPathFactory, entries: list[Item]
) -> None:
    package = taken(make_zip(*entries))
    if package is None:
        return
    place = tmp_path_factory.mktemp("place")
    root = (place / "code").resolve()
    package.extract(root)
    assert [path.name for path in place.iterdir()] == ["code"]
    found = {str(path.relative_to(root)) for path in root.rglob("*")}
    assert found == set(package.entries)
    for path in root.rglob("*"):
        if path.is_symlink() and not str(path.readlink()).startswith(("/opt", "/var/user")):
            assert path.resolve().is_relative_to(root) or _through_layers(path, root)
    tar_target = io.BytesIO()
    package.write_tar(tar_target)
    tar_target.seek(0)
    with tarfile.open(fileobj=tar_target) as tar:
        assert tar.getnames() == list(package.entries)


def _through_layers(path: Path, root: Path) -> bool:
    return str(path.resolve()).startswith(("/opt", "/var/user"))


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_zip_with_any_bytes_changed_is_taken_or_refused_and_nothing_else(
    data: st.DataObject,
) -> None:
    raw = bytearray(make_zip(BOOTSTRAP, folder("d"), file("d/é", b"abc" * 50), link("l", "d/é")))
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    package = taken(bytes(raw))
    if package is not None:
        package.write_tar(io.BytesIO())
