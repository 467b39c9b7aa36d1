"""What tests share is there once: a clock, a maker of zips, a way to wait, a control plane."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TESTS = Path(__file__).parents[1]
SUPPORT = "tests/support"
MAX_LINES = 500

#: Marks and calls that keep a test from being run, or from failing.
EXCUSES = {"skip", "skipif", "xfail", "importorskip"}


class Finding(NamedTuple):
    """A piece of a test file. Its text says where it is."""

    path: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line} {self.name}"


@cache
def sources() -> dict[str, ast.Module]:
    """Every Python file of the tests, by its path from the root."""
    paths = (path for path in TESTS.rglob("*.py") if "node_modules" not in path.parts)
    return {str(path.relative_to(TESTS.parent)): ast.parse(path.read_text()) for path in paths}


def found(
    kind: type[ast.AST] | tuple[type[ast.AST], ...], wanted: Callable[[ast.AST], bool]
) -> list[Finding]:
    return [
        Finding(path, getattr(node, "lineno", 0), getattr(node, "name", ""))
        for path, tree in sorted(sources().items())
        for node in ast.walk(tree)
        if isinstance(node, kind) and wanted(node)
    ]


def classes(wanted: Callable[[ast.ClassDef], bool]) -> list[Finding]:
    return found(ast.ClassDef, lambda node: isinstance(node, ast.ClassDef) and wanted(node))


def functions(name: str) -> list[Finding]:
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return found(kinds, lambda node: getattr(node, "name", "") == name)


def calls(wanted: Callable[[ast.Call], bool]) -> list[Finding]:
    return found(ast.Call, lambda node: isinstance(node, ast.Call) and wanted(node))


def called(call: ast.Call) -> str:
    """The dotted name that is called: ``asyncio.sleep``."""
    return ast.unparse(call.func)


def defines(node: ast.ClassDef, name: str) -> bool:
    return any(isinstance(part, ast.FunctionDef) and part.name == name for part in node.body)


def line_of(finding: Finding) -> str:
    return (TESTS.parent / finding.path).read_text().splitlines()[finding.line - 1]


def only(findings: list[Finding], path: str) -> None:
    """There is one, in this file of ``tests/support``."""
    assert [finding.path for finding in findings] == [f"{SUPPORT}/{path}"], list(map(str, findings))


def test_there_is_one_clock() -> None:
    only(classes(lambda node: node.name.endswith("Clock") and defines(node, "now")), "clock.py")


def test_nothing_else_tells_the_time_but_the_loops_own_time() -> None:
    clocks = classes(lambda node: defines(node, "now"))
    names = [finding.name for finding in clocks]
    assert names == ["FakeClock", "LoopTime"], list(map(str, clocks))


def test_there_is_one_way_to_wait_in_a_loop_and_one_without() -> None:
    only(functions("eventually"), "waiting.py")
    only(functions("wait_until"), "waiting.py")


def only_waits(loop: ast.AST) -> bool:
    """``while not condition(): ...``: nothing happens in the loop but waiting.

    To wait is to pass, to sleep, or to look at the time: ``assert time.monotonic() < deadline``.
    """
    return (
        isinstance(loop, ast.While)
        and any(isinstance(part, ast.Call) for part in ast.walk(loop.test))
        and all(waits(step) for step in loop.body)
    )


def waits(step: ast.stmt) -> bool:
    """A ``pass``, a sleep, or a look at the time, whatever else the line does."""
    names = [called(part).lower() for part in ast.walk(step) if isinstance(part, ast.Call)]
    return isinstance(step, ast.Pass | ast.Continue) or any(
        name.endswith(("sleep", "monotonic", "perf_counter", "time.time", "loop.time", "turns"))
        for name in names
    )


def outside_of_support(findings: list[Finding]) -> list[str]:
    return [str(finding) for finding in findings if not finding.path.startswith(SUPPORT)]


def test_no_loop_waits_for_a_condition_but_those_of_the_kit() -> None:
    assert outside_of_support(found(ast.While, only_waits)) == []
    for text in (
        "while not condition():\n    pass",
        "while await count() != 1:\n    await asyncio.sleep(0.1)",
        "while not (found := look()):\n    assert time.monotonic() < deadline\n    sleep(POLL_S)",
        "while not look():\n    if loop.time() > deadline:\n        raise TimeoutError",
    ):
        assert only_waits(ast.parse(text).body[0]), text
    for text in ("while True:\n    pass", "while more():\n    read()\n    sleep(1)"):
        assert not only_waits(ast.parse(text).body[0]), text


def test_nothing_waits_on_a_condition_variable_of_its_own() -> None:
    """``asyncio.Condition().wait_for(condition)`` is a second ``eventually`` under another name."""
    conditions = ("asyncio.Condition", "threading.Condition", "Condition")
    assert outside_of_support(calls(lambda call: called(call) in conditions)) == []


def test_there_is_one_maker_of_zips() -> None:
    def writes(call: ast.Call) -> bool:
        parts = (*call.args, *(word.value for word in call.keywords))
        values = {part.value for part in parts if isinstance(part, ast.Constant)}
        name = called(call).rpartition(".")[2]
        return (name in ("ZipFile", "PyZipFile") and not values.isdisjoint(("w", "a", "x"))) or (
            name == "make_archive" and "zip" in values
        )

    only(calls(writes), "zips.py")
    for text in (
        "zipfile.ZipFile(path, mode='x')",
        "make_archive(name, 'zip', root)",
        "shutil.make_archive(name, format='zip')",
    ):
        [statement] = ast.parse(text).body
        assert isinstance(statement, ast.Expr)
        assert isinstance(statement.value, ast.Call)
        assert writes(statement.value), text


def test_there_is_one_maker_of_records() -> None:
    kits = [
        finding
        for finding in calls(lambda call: called(call) == "InvocationRecord")
        if not Path(finding.path).name.startswith("test_")
    ]
    only(kits, "records.py")


def test_there_is_one_look_up_of_functions() -> None:
    only(
        classes(lambda node: defines(node, "resolve") and defines(node, "require_invocable")),
        "functions.py",
    )


def test_there_is_one_fake_engine() -> None:
    def whole(node: ast.ClassDef) -> bool:
        return "Engine" in node.name and {"launch", "prepare", "forget"} <= {
            getattr(part, "name", "") for part in node.body
        }

    only(classes(whole), "engine.py")


def test_the_parts_of_a_control_plane_are_put_together_in_one_kit() -> None:
    planes = calls(lambda call: called(call) == "ControlPlane")
    only(planes, "control_plane.py")
    by_hand = calls(lambda call: called(call) in ("Catalog", "CloudApi", "RecordWriter.open"))
    assert by_hand == [], list(map(str, by_hand))


def test_no_two_kits_share_a_name() -> None:
    kits = classes(lambda node: node.name.endswith(("Bench", "Cloud")))
    names = [finding.name for finding in kits]
    assert len(names) == len(set(names)), list(map(str, kits))


def test_no_file_of_tests_is_longer_than_500_lines() -> None:
    lengths = {path: len((TESTS.parent / path).read_text().splitlines()) for path in sources()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_LINES} == {}


def test_no_test_sleeps_but_where_it_says_that_time_is_what_it_tries() -> None:
    def sleeps(call: ast.Call) -> bool:
        return called(call).endswith("sleep") and any(
            isinstance(part, ast.Constant) and part.value for part in call.args
        )

    findings = [finding for finding in calls(sleeps) if " # " not in line_of(finding)]
    assert findings == [], list(map(str, findings))


def excuses() -> Iterator[Finding]:
    """Marks and calls that give no reason: ``pytest.mark.skip``, ``pytest.skip()``."""
    for path, tree in sorted(sources().items()):
        with_reason = {
            call.func
            for call in ast.walk(tree)
            if isinstance(call, ast.Call) and (call.args or call.keywords) and gives_reason(call)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in EXCUSES:
                source = ast.unparse(node)
                if source.startswith("pytest.") and node not in with_reason:
                    yield Finding(path, node.lineno, source)


def gives_reason(call: ast.Call) -> bool:
    """``pytest.skip("why")``, or ``reason="why"`` of a mark or of ``importorskip``."""
    if called(call) in ("pytest.skip", "pytest.xfail") and call.args:
        return True
    return any(word.arg == "reason" and ast.unparse(word.value) != "''" for word in call.keywords)


def test_no_test_is_left_out_without_a_word() -> None:
    findings = list(excuses())
    assert findings == [], list(map(str, findings))
