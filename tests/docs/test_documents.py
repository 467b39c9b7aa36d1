"""What the documents name is there: paths in backticks, and what links lead to.

A document that tells the layout of the code goes stale with every move. This test says which line.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENTS = tuple(
    str(path.relative_to(ROOT))
    for path in [*sorted(ROOT.glob("*.md")), *sorted(ROOT.glob("docs/**/*.md"))]
)
#: Documents that tell how things are now. The changelog also tells how they were.
LAYOUT = tuple(document for document in DOCUMENTS if document != "CHANGELOG.md")
#: Below these a name in backticks is a path; other names with a slash are routes, images, types.
TOP = frozenset(
    {".ci", "api", "benchmarks", "docs", "examples", "images", "sandbox", "scf_sandbox", "scripts"}
    | {"init", "tests"}
)
#: Names without a slash are paths when they end so.
FILES = (".md", ".toml", ".yaml", ".txt", ".in")
#: The end of a route, which begins as a path does.
ROUTES = frozenset({"init/ready"})
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.][\w./-]*")
_LINK = re.compile(r"\]\(([^()\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


class Named(NamedTuple):
    """A name in a document; ``line`` counts from 1."""

    document: str
    line: int
    name: str

    def __str__(self) -> str:
        return f"{self.document}:{self.line}: {self.name}"


def _is_path(name: str) -> bool:
    if not _PATH.fullmatch(name) or name in ROUTES:
        return False
    return name.split("/")[0] in TOP if "/" in name else name.endswith(FILES)


def found(document: str, text: str, pattern: re.Pattern[str]) -> Iterator[Named]:
    """Every match outside of fenced blocks."""
    prose = _FENCE.sub(lambda block: "\n" * block[0].count("\n"), text)
    for match in pattern.finditer(prose):
        yield Named(document, prose.count("\n", 0, match.start()) + 1, match[1])


def paths(document: str, text: str) -> list[Named]:
    """The paths in backticks; of a command, such as ``scripts/test -k word``, its first word."""
    return [
        named._replace(name=first)
        for named in found(document, text, _CODE)
        if _is_path(first := named.name.split()[0])
    ]


def anchor(heading: str) -> str:
    """A heading's anchor as code hosts make it: lower case, blanks to hyphens, no punctuation."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


@cache
def anchors(path: Path) -> frozenset[str]:
    return frozenset(
        anchor(line.lstrip("#")) for line in path.read_text().splitlines() if line.startswith("#")
    )


def broken(document: str, link: str) -> str:
    """What is wrong with a link between documents, or nothing."""
    if re.match(r"[a-z]+:", link):
        return ""
    place, _, heading = unquote(link).partition("#")
    target = (ROOT / document).parent / place if place else ROOT / document
    if not target.exists():
        return "there is no such file"
    if heading and heading not in anchors(target):
        return "there is no such heading"
    return ""


@pytest.mark.parametrize("document", LAYOUT)
def test_every_path_that_a_document_names_exists(document: str) -> None:
    missing = [
        f"{named}: there is no such path"
        for named in paths(document, (ROOT / document).read_text())
        if not (ROOT / named.name).exists()
    ]
    assert not missing, "\n".join(missing)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_link_leads_somewhere(document: str) -> None:
    wrong = [
        f"{named}: {why}"
        for named in found(document, (ROOT / document).read_text(), _LINK)
        if (why := broken(document, named.name))
    ]
    assert not wrong, "\n".join(wrong)


def test_paths_are_told_from_other_names() -> None:
    text = (
        "`api/cloud/` `scripts/test -k word` `init/ready` `/tmp` `pyproject.toml` `bootstrap`\n"
        "```\n`api/none`\n```\n"
        "`sandbox/pool/` `POST /runtime/init/ready` `docker compose up`\n"
    )
    assert [(named.line, named.name) for named in paths("sample.md", text)] == [
        (1, "api/cloud/"),
        (1, "scripts/test"),
        (1, "pyproject.toml"),
        (5, "sandbox/pool/"),
    ]


def test_a_link_to_nothing_is_seen() -> None:
    assert broken("README.md", "docs/en/choices.md#runtime-api") == ""
    assert broken("docs/en/async.md", "choices.md") == ""
    assert broken("README.md", "docs/en/none.md") == "there is no such file"
    assert broken("README.md", "#none") == "there is no such heading"
