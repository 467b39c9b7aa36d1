"""The errors' table says the truth, and every code is one of the platform's."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest

from sandbox import errors
from sandbox.errors import Code, ConflictError, RequestError, ResourceNotFound, SandboxError

ROOT = Path(__file__).parents[2]
#: All of sandbox/ but the module that spells the codes.
SOURCES = sorted({*(ROOT / "sandbox").rglob("*.py")} - {ROOT / "sandbox" / "errors.py"})

CLASSES = {
    name: found
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, SandboxError)
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT / "sandbox"))


FAMILIES = {family.__name__: family for family in Code.__subclasses__()}


def table() -> set[tuple[str, str, int]]:
    """The rows of the module's table: family, class, HTTP status."""
    rows = [line.split() for line in (errors.__doc__ or "").splitlines()]
    return {(row[0], row[1], int(row[2])) for row in rows if row and row[0] in FAMILIES}


def test_the_tree_shows_every_class_below_its_base() -> None:
    path: list[str] = []
    drawn: dict[str, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        name = next((word for word in line.split() if word in CLASSES), "")
        if not name or line.split()[0] in FAMILIES:
            continue
        depth = (line.index(name) - 4) // 4
        path = [*path[:depth], name]
        drawn[name] = path[-2] if depth else "Exception"
    assert drawn == {name: found.__bases__[0].__name__ for name, found in CLASSES.items()}


def test_the_table_has_the_status_of_each_class() -> None:
    assert {family for family, _, _ in table()} == set(FAMILIES)
    for _, name, status in table():
        assert CLASSES[name].http_status == status


def test_the_table_has_the_code_that_each_class_has_by_default() -> None:
    pairs = {(family, name) for family, name, _ in table()}
    for name, found in CLASSES.items():
        if "default_code" in vars(found):
            assert (found.default_code.split(".")[0], name) in pairs


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES.keys())
def test_every_code_begins_with_its_family(family: type[Code]) -> None:
    for code in family:
        assert code == family.__name__ or code.startswith(f"{family.__name__}.")
        assert (code.name == "GENERAL") == (code == family.__name__)


def test_an_error_has_its_code_as_plain_text() -> None:
    error = RequestError("no", ResourceNotFound.LAYER)
    assert type(error.code) is str
    assert str(error) == "ResourceNotFound.Layer: no"
    assert type(ConflictError("no").code) is str


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_codes_are_named_not_spelt(path: Path) -> None:
    """A misspelt member is found by mypy; a misspelt text is found by nobody."""
    prefixes = tuple(f"{family}." for family in FAMILIES)
    spelt = [
        node.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and (node.value.startswith(prefixes) or node.value in FAMILIES)
        and " " not in node.value
    ]
    assert spelt == []


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_every_error_is_of_a_class_that_the_table_has_for_its_code(path: Path) -> None:
    pairs = {(family, name) for family, name, _ in table()}
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            continue
        if node.func.id not in CLASSES:
            continue
        for argument in node.args[1:]:
            for part in ast.walk(argument):
                if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name):
                    family = part.value.id
                    assert family not in FAMILIES or (family, node.func.id) in pairs, (
                        f"{path.name}:{node.lineno}: {family} is not for {node.func.id}"
                    )
