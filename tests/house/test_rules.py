"""The rules that check themselves are in force, and the tools that check them are configured."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BUDGETS = ROOT / ".ci" / "budgets"
WHOLE_S = 40 * 60


def configuration() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_the_parts_of_ci_have_budgets_that_fit_into_the_whole() -> None:
    rows = [line.split() for line in BUDGETS.read_text().splitlines() if line[0] != "#"]
    budgets = {name: int(seconds) for name, seconds in rows}
    run = (ROOT / ".ci" / "run").read_text()
    parts = [line.split()[1] for line in run.splitlines() if line.startswith("part ")]
    assert list(budgets) == parts
    assert sum(budgets.values()) < WHOLE_S  # .ci/run itself takes some seconds


def test_the_changelog_has_each_section_once_and_in_the_form_s_order() -> None:
    order = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]
    _, *versions = (ROOT / "CHANGELOG.md").read_text().split("\n## ")
    assert versions
    for version in versions:
        lines = version.splitlines()
        sections = [line[4:] for line in lines if line.startswith("### ")]
        assert sections == [name for name in order if name in sections], lines[0]
        entries = [line for line in lines if line.startswith("- ")]
        assert len(entries) == len(set(entries)), lines[0]


def test_lint_looks_for_complexity_and_docstrings() -> None:
    lint = configuration()["tool"]["ruff"]["lint"]
    assert {"C90", "D1"} <= set(lint["select"])
    assert lint["mccabe"]["max-complexity"] == 10
    assert configuration()["tool"]["coverage"]["report"]["fail_under"] >= 90


def test_the_pre_commit_hooks_are_valid_and_run_the_same_checks() -> None:
    tool = Path(sys.executable).with_name("pre-commit")
    config = ROOT / ".pre-commit-config.yaml"
    subprocess.run([tool, "validate-config", config], check=True, timeout=60)
    assert "entry: scripts/check" in config.read_text()


@pytest.mark.parametrize("length", [72, 73])
def test_a_commit_subject_has_72_characters_at_most(length: int, tmp_path: Path) -> None:
    message = tmp_path / "message"
    message.write_text("x" * length + "\n\nA body may have longer lines than that." + "y" * 80)
    [entry] = [
        line.partition("entry: ")[2]
        for line in (ROOT / ".pre-commit-config.yaml").read_text().splitlines()
        if "entry: awk" in line
    ]
    done = subprocess.run(f"{entry} {message}", shell=True, check=False, capture_output=True)
    assert done.returncode == (0 if length <= 72 else 1)
