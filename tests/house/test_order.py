"""The checks of length and of imports find what is out of order."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "sandbox", "scf_sandbox")


def rooms() -> Any:
    """``scripts/rooms.py`` as a module."""
    spec = importlib.util.spec_from_file_location("rooms", ROOT / "scripts" / "rooms.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("tracked", ["tracked", "untracked", "no checkout"])
def test_a_module_that_is_too_long_is_found(tracked: str, tmp_path: Path) -> None:
    lengths = {"sandbox/long.py": 401, "sandbox/fits.py": 400, "tests/long.py": 501}
    for name, lines in {**lengths, "tests/fits.py": 500, "sandbox/ignored.py": 401}.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x = 1\n" * lines)
    if tracked == "no checkout":
        (tmp_path / "sandbox" / "ignored.py").unlink()
    else:
        (tmp_path / ".gitignore").write_text("ignored.py\n")
        subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    if tracked == "tracked":
        subprocess.run(["git", "add", "."], cwd=tmp_path, check=True)
    found = [fault.partition(";")[0] for fault in rooms().long_modules(tmp_path)]
    assert found == ["sandbox/long.py has 401 lines", "tests/long.py has 501 lines"]


def test_circles_and_levels_are_found() -> None:
    module = rooms()
    graph = {"top": {"one"}, "one": {"two"}, "two": {"one", "low"}, "low": set[str]()}
    assert list(module.circles(graph)) == [["one", "two"]]
    graph["two"] = {"low"}
    assert list(module.circles(graph)) == []
    assert module.levels(graph) == [["low"], ["two"], ["one"], ["top"]]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code and its contracts, to be broken."""
    directory = tmp_path_factory.mktemp("copy")
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, directory / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", directory)
    return directory


@pytest.mark.parametrize(
    ("module", "imported", "contract"),
    [
        ("api/app", "sandbox.store.database", "The HTTP side knows no store and no engine"),
        ("api/app", "sandbox.engine.registry", "The HTTP side knows no store and no engine"),
        ("sandbox/invoker", "fastapi", "The sandbox knows no HTTP"),
        ("sandbox/invoker", "api.app", "The sandbox knows no HTTP"),
        ("sandbox/invoker", "sandbox.store.tables", "Only the control plane imports the store"),
        ("sandbox/invoker", "sqlalchemy", "Only the store speaks SQL"),
        ("sandbox/engine/registry", "docker", "Only the docker engine's client imports docker"),
        ("scf_sandbox/preflight/elf", "sandbox.limits", "What a user installs needs nothing else"),
        ("sandbox/limits", "sandbox.invoker", "The rooms of the sandbox, from the top down"),
    ],
)
def test_an_import_that_a_contract_forbids_is_found(
    copy: Path, module: str, imported: str, contract: str
) -> None:
    path = copy / f"{module}.py"
    before = path.read_text()
    path.write_text(f"{before}\nimport {imported}\n")
    try:
        tool = Path(sys.executable).with_name("lint-imports")
        done = subprocess.run(
            [tool, "--no-cache", "--no-logo"],
            cwd=copy,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
    finally:
        path.write_text(before)
    assert done.returncode == 1, done.stdout + done.stderr
    broken = [line for line in done.stdout.splitlines() if " BROKEN" in line]
    assert any(line.startswith(contract) for line in broken), done.stdout
