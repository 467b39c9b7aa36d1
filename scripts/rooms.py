"""Prints the rooms of sandbox/ by import level. Fails if the code is not in order.

scripts/check runs it. Imports for types count too. In order means: at most MAX_ENTRIES rooms on the
top level, at most MAX_LEVELS levels, no circle of rooms or of modules, no module above MAX_LINES
lines, no test module above MAX_TEST_LINES.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import grimp

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("api", "sandbox", "scf_sandbox")
MAX_ENTRIES = 24
MAX_LEVELS = 8
MAX_LINES = 400
MAX_TEST_LINES = 500

Graph = dict[str, set[str]]


def modules_of(package: str) -> Graph:
    """Each module of a package with those of the same package that it imports."""
    graph = grimp.build_graph(package, cache_dir=None)
    return {
        module: {name for name in graph.find_modules_directly_imported_by(module) if name != module}
        for module in graph.modules
    }


def rooms_of(modules: Graph) -> Graph:
    """The same by top-level entry: a folder, or a module beside the folders."""

    def room(module: str) -> str:
        return module.split(".")[1] if "." in module else ""

    rooms: Graph = {room(module): set() for module in modules}
    for module, imported in modules.items():
        rooms[room(module)] |= {room(name) for name in imported} - {room(module), ""}
    rooms.pop("", None)
    return rooms


def circles(graph: Mapping[str, set[str]]) -> Iterator[list[str]]:
    """Groups of nodes that reach each other (strongly connected components above one)."""
    index: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> Iterator[list[str]]:
        index[node] = lowest[node] = len(index)
        stack.append(node)
        for following in sorted(graph[node]):
            if following not in index:
                yield from visit(following)
                lowest[node] = min(lowest[node], lowest[following])
            elif following in stack:
                lowest[node] = min(lowest[node], index[following])
        if lowest[node] == index[node]:
            found = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(found) > 1:
                yield sorted(found)

    for node in sorted(graph):
        if node not in index:
            yield from visit(node)


def levels(graph: Graph) -> list[list[str]]:
    """Nodes by level: a node is one above the highest that it imports. Needs a graph without
    circles."""
    height: dict[str, int] = {}

    def of(node: str) -> int:
        if node not in height:
            height[node] = 1 + max((of(name) for name in graph[node]), default=-1)
        return height[node]

    rows: list[list[str]] = []
    for node in sorted(graph):
        rows += [[] for _ in range(of(node) + 1 - len(rows))]
        rows[of(node)].append(node)
    return rows


def long_modules(root: Path = ROOT) -> Iterator[str]:
    """Python files below ``root`` that are too long, each with its length.

    A file that git does not track yet counts, one that git ignores does not.
    """
    wanted = ["--cached", "--others", "--exclude-standard", "*.py"]
    listed = subprocess.run(
        ["git", "ls-files", *wanted], cwd=root, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split() or [
        str(path.relative_to(root))
        for top in (*PACKAGES, "tests", "benchmarks", "scripts")
        for path in (root / top).rglob("*.py")
    ]
    for name in sorted(set(names)):
        path = root / name
        limit = MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES
        if path.exists() and (count := len(path.read_text().splitlines())) > limit:
            yield f"{name} has {count} lines; the limit is {limit}: split it by what it does"


def main() -> int:
    """Print the levels, then what is not in order; 1 if anything is not."""
    sys.path.insert(0, str(ROOT))
    faults = list(long_modules())
    for package in PACKAGES:
        modules = modules_of(package)
        faults += [f"circle of modules: {', '.join(found)}" for found in circles(modules)]
    rooms = rooms_of(modules_of("sandbox"))
    found = list(circles(rooms))
    faults += [f"circle of rooms in sandbox/: {', '.join(names)}" for names in found]
    if len(rooms) > MAX_ENTRIES:
        faults.append(f"sandbox/ has {len(rooms)} entries; the limit is {MAX_ENTRIES}")
    if not found:
        rows = levels(rooms)
        for number, row in reversed(list(enumerate(rows, 1))):
            print(f"  {number}  {'  '.join(row)}")
        print(f"sandbox/: {len(rooms)} entries on {len(rows)} import levels")
        if len(rows) > MAX_LEVELS:
            faults.append(f"sandbox/ has {len(rows)} import levels; the limit is {MAX_LEVELS}")
    for fault in faults:
        print(f"rooms: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
