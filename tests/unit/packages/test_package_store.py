from __future__ import annotations

import io
import tarfile
from typing import TYPE_CHECKING

import pytest

from sandbox.errors import PlatformError, RequestError
from sandbox.packages.model import Bootstrap
from sandbox.packages.package import PackageStore, digest_of
from tests.support.zips import BOOTSTRAP, file, folder, link, make_zip

if TYPE_CHECKING:
    from pathlib import Path

ZIP = make_zip(BOOTSTRAP, file("lib/a", b"12345"), link("l", "lib/a"))


@pytest.fixture
def store(tmp_path: Path) -> PackageStore:
    return PackageStore(tmp_path / "packages")


def merged(store: PackageStore, *zips: bytes) -> dict[str, tarfile.TarInfo]:
    digests = [store.save(data).digest for data in zips]
    target = io.BytesIO()
    store.write_merged(digests, target)
    target.seek(0)
    with tarfile.open(fileobj=target) as tar:
        assert len(set(tar.getnames())) == len(tar.getnames())
        return {member.name: member for member in tar.getmembers()}


def test_what_was_saved_is_found_again(store: PackageStore) -> None:
    ref = store.save(ZIP)
    assert store.digests() == {ref.digest} == {digest_of(ZIP)}
    assert store.read(ref.digest) == ZIP
    package = store.open(ref.digest)
    assert package.ref == ref
    assert package.ref.bootstrap is Bootstrap.OK
    assert package.read("l", 99) == b"12345"


def test_saving_again_changes_nothing(store: PackageStore, tmp_path: Path) -> None:
    first = store.save(ZIP)
    path = tmp_path / "packages" / f"{first.digest}.zip"
    before = path.stat().st_mtime_ns
    assert store.save(ZIP) == first
    assert path.stat().st_mtime_ns == before


@pytest.mark.parametrize("damaged", [ZIP[:50], bytes(len(ZIP))])
def test_saving_again_mends_a_damaged_copy(
    store: PackageStore, tmp_path: Path, damaged: bytes
) -> None:
    digest = store.save(ZIP).digest
    (tmp_path / "packages" / f"{digest}.zip").write_bytes(damaged)
    store.save(ZIP)
    assert store.read(digest) == ZIP


def test_what_is_refused_is_not_kept(store: PackageStore, tmp_path: Path) -> None:
    with pytest.raises(RequestError):
        store.save(b"no zip")
    assert store.digests() == frozenset()
    assert not (tmp_path / "packages").exists()


def test_a_removed_package_is_gone_and_may_be_removed_again(store: PackageStore) -> None:
    digest = store.save(ZIP).digest
    store.remove(digest)
    store.remove(digest)
    assert store.digests() == frozenset()
    with pytest.raises(PlatformError, match="upload"):
        store.open(digest)
    with pytest.raises(PlatformError, match="upload"):
        store.read(digest)


def test_a_package_damaged_on_disk_is_our_fault_not_the_users(
    store: PackageStore, tmp_path: Path
) -> None:
    digest = store.save(ZIP).digest
    path = tmp_path / "packages" / f"{digest}.zip"
    package = store.open(digest)
    path.write_bytes(ZIP[:-10])
    with pytest.raises(PlatformError, match="upload"):
        store.open(digest)
    with pytest.raises(PlatformError, match="upload"):
        package.write_tar(io.BytesIO())
    path.write_bytes(ZIP[:41] + b"\xff\xff" + ZIP[43:])
    with pytest.raises(PlatformError, match="upload"):
        package.extract(tmp_path / "code")
    assert not (tmp_path / "code").exists()


def test_only_digests_name_packages(store: PackageStore) -> None:
    for name in ("../../etc/passwd", "", "A" * 64, "a" * 63):
        with pytest.raises(ValueError, match="digest"):
            store.open(name)


def test_what_a_crash_left_half_saved_is_swept(store: PackageStore, tmp_path: Path) -> None:
    digest = store.save(ZIP).digest
    (tmp_path / "packages" / ".saving-abc").write_bytes(b"half")
    store.sweep()
    assert [path.name for path in (tmp_path / "packages").iterdir()] == [f"{digest}.zip"]


def test_merged_packages_have_the_later_of_what_clashes(store: PackageStore) -> None:
    tar = merged(
        store,
        make_zip(file("a", b"1"), file("d/x"), folder("e"), link("f", "d")),
        make_zip(file("a", b"22"), file("d/y"), file("e/z"), file("f/g")),
    )
    assert list(tar) == ["a", "d", "d/x", "d/y", "e", "e/z", "f", "f/g"]
    assert tar["a"].size == 2
    assert tar["f"].isdir()


def test_merged_packages_never_go_on_below_a_file_or_link(store: PackageStore) -> None:
    tar = merged(store, make_zip(file("d/x/y"), file("dx")), make_zip(link("d", "dx")))
    assert list(tar) == ["d", "dx"]
    assert tar["d"].issym()
