"""A port has the plain noun; what implements it in the store has the prefix ``Sql``."""

from __future__ import annotations

import ast
from pathlib import Path

SANDBOX = Path(__file__).parents[2] / "sandbox"


def repositories() -> tuple[set[str], set[str]]:
    """The ``...Repository`` classes outside of the store, and those in it."""
    ports, stored = set[str](), set[str]()
    for path in SANDBOX.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.name.endswith("Repository"):
                (stored if "store" in path.parts else ports).add(node.name)
    return ports, stored


def test_every_port_has_one_implementation_in_the_store_and_both_have_their_names() -> None:
    ports, stored = repositories()
    assert ports
    assert stored == {f"Sql{port}" for port in ports}
