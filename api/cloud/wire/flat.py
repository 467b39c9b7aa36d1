"""Turns dotted keys of forms and queries (``Filters.0.Name=x``) into nested parameters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Deeper than any parameter of the API. It stops a hostile key.
MAX_DEPTH = 16


def unflatten(pairs: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Nest ``A.0.B=x`` as ``{"A": [{"B": "x"}]}``. The last of repeated keys counts.

    List members are ordered by their numbers. Gaps close. Raises ``InvalidParameter`` if a key is
    both a value and a structure.
    """
    root: dict[str, Any] = {}
    for key, value in pairs:
        if "." not in key:
            if isinstance(root.get(key), dict):
                raise _conflict(key)
            root[key] = value
            continue
        *parents, leaf = key.split(".")
        if len(parents) >= MAX_DEPTH:
            raise RequestError(f"the parameter {key[:80]} nests too deeply", "InvalidParameter")
        node = root
        for name in parents:
            child = node.setdefault(name, {})
            if not isinstance(child, dict):
                raise _conflict(key)
            node = child
        if isinstance(node.get(leaf), dict):
            raise _conflict(key)
        node[leaf] = value
    return {key: _lists(value) for key, value in root.items()}


def _lists(node: Any) -> Any:
    """Turn dictionaries that have only numbers as keys into lists."""
    if not isinstance(node, dict):
        return node
    children = {key: _lists(value) for key, value in node.items()}
    if not all(key.isascii() and key.isdigit() and len(key) < 10 for key in children):
        return children
    return [value for _, value in sorted(children.items(), key=lambda item: int(item[0]))]


def _conflict(key: str) -> RequestError:
    return RequestError(
        f"the parameter {key[:80]} is given both as a value and as a structure", "InvalidParameter"
    )
