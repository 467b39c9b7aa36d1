"""The preflight check as a library: it asks a view, and says what is wrong."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sandbox.packages.contents import ZipContents
from sandbox.packages.model import Bootstrap
from sandbox.packages.package import inspect as inspect_zip
from scf_sandbox import preflight
from scf_sandbox.preflight import RELOAD_FAILURES, FileKind, FileStat, Finding, Level
from tests.support.zips import BOOTSTRAP, file, folder, link, make_zip

if TYPE_CHECKING:
    from collections.abc import Iterable


class Listed:
    """A package without a zip: what a client has before it makes one."""

    def __init__(self, files: dict[str, FileStat]) -> None:
        self.files = files

    def names(self) -> Iterable[str]:
        return self.files

    def stat(self, path: str) -> FileStat | None:
        return self.files.get(path)

    def head(self, path: str, limit: int) -> bytes:
        return b""

    def part(self, path: str, offset: int, size: int) -> bytes:
        return b""


def codes(**files: FileStat) -> list[str]:
    return [finding.code for finding in preflight.inspect(Listed(files))]


def test_a_bootstrap_that_others_may_execute_is_fine() -> None:
    assert codes(bootstrap=FileStat(FileKind.FILE, 0o755)) == []
    assert codes(bootstrap=FileStat(FileKind.FILE, 0o001)) == []


def test_a_package_without_bootstrap_is_found() -> None:
    assert codes() == ["bootstrap-missing"]
    assert codes(bootstrap=FileStat(FileKind.DIRECTORY, 0o755)) == ["bootstrap-missing"]


def test_a_bootstrap_that_others_may_not_execute_is_found() -> None:
    assert codes(bootstrap=FileStat(FileKind.FILE, 0o764)) == ["bootstrap-not-executable"]


def test_a_bootstrap_in_a_layer_is_not_judged() -> None:
    assert codes(bootstrap=FileStat(FileKind.LAYER, 0)) == []


def test_a_finding_says_how_bad_it_is_where_and_what_to_do() -> None:
    assert preflight.inspect(Listed({})) == [
        Finding(
            Level.ERROR,
            "bootstrap",
            None,
            "bootstrap-missing",
            "there is no file named bootstrap at the root of the zip: invocations will fail with"
            " 443",
            "zip the files themselves, not the directory that holds them",
        )
    ]


def test_findings_read_as_the_warnings_of_plain_rest() -> None:
    """Word for word: clients may have come to match them."""
    assert {state: state.finding and state.finding.message for state in Bootstrap} == {
        Bootstrap.OK: None,
        Bootstrap.MISSING: "there is no file named bootstrap at the root of the zip: invocations"
        " will fail with 443; zip the files themselves, not the directory that holds them",
        Bootstrap.NOT_EXECUTABLE: "bootstrap is not executable: invocations will fail with 443;"
        " chmod 755 bootstrap and zip it again, on a system that keeps modes",
    }


def test_every_bootstrap_that_cannot_start_has_its_reload_failure() -> None:
    findings = [state.finding for state in Bootstrap if state is not Bootstrap.OK]
    assert {finding.code for finding in findings if finding} == set(RELOAD_FAILURES)
    assert len(findings) == len(RELOAD_FAILURES)


def test_a_zip_shows_the_checks_its_names_modes_and_first_bytes() -> None:
    package = inspect_zip(
        make_zip(BOOTSTRAP, folder("bin"), file("bin/run", b"#!/bin/sh\necho", 0o751))
    )
    with package.opened() as archive:
        view = ZipContents(archive, package.entries)
        assert list(view.names()) == ["bin", "bin/run", "bootstrap"]
        assert view.stat("bin") == FileStat(FileKind.DIRECTORY, 0o755)
        assert view.stat("bin/run") == FileStat(FileKind.FILE, 0o751)
        assert view.stat("bin/ru") is None
        assert view.head("bin/run", 9) == b"#!/bin/sh"
        assert view.part("bin/run", 3, 3) == b"bin"
        assert view.part("bin/run", 10, 99) == b"echo"
        assert view.part("bin/run", 99, 99) == b""
        assert view.head("bin", 9) == b""
        assert view.head("bin/ru", 9) == b""


def test_a_zip_shows_the_checks_where_its_links_lead() -> None:
    package = inspect_zip(
        make_zip(
            link("bootstrap", "run"),
            file("run", b"#!/bin/sh", 0o751),
            link("gone", "nowhere"),
            link("layer", "/opt/run"),
        )
    )
    with package.opened() as archive:
        view = ZipContents(archive, package.entries)
        assert view.stat("bootstrap") == FileStat(FileKind.FILE, 0o751)
        assert view.head("bootstrap", 2) == b"#!"
        assert view.stat("gone") is None
        assert view.head("gone", 2) == b""
        assert view.stat("layer") == FileStat(FileKind.LAYER, 0)
        assert view.head("layer", 2) == b""


ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "scf_sandbox").rglob("*.py")), ids=lambda path: path.name
)
def test_what_a_user_installs_imports_nothing_of_the_server(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        for name in names:
            assert name.split(".")[0] not in ("sandbox", "api"), f"{path} imports {name}"
