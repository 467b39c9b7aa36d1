"""The code cites the platform's facts as "contract 4.1"; the facts are in docs/en/contract.md.

That page must have the cited section, the section must say something, and
every fact on the page must tell how it is known and from where.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "en" / "contract.md"
#: Where citations are looked for. A room that is not there yet has none.
ROOMS = ("api", "sandbox", "scf_sandbox", "init", "tests", "benchmarks")
SOURCES = frozenset({".py", ".js", ".ts", ".c", ".h", ".sh"})
#: The samples in this file are no citations.
SKIPPED = ("node_modules", "__pycache__", Path(__file__).name)

_NUMBER = r"\d+(?:\.\d+)?"
_CITATION = re.compile(
    rf"\bcontract[\s#*]+(?:sections?[\s#*]+)?\(?({_NUMBER}(?:(?:,|,? and)[\s#*]+{_NUMBER})*)\b"
    r"(?:,[\s#*]+item[\s#*]+(\d+))?",
    re.IGNORECASE,
)
_HEADING = re.compile(r"^#{2,3} (\d+(?:\.\d+)?)\.? +\S")
_MARK = re.compile(r"\[([DWIUG])\b([^\]]*)\]")
#: Words in a mark that look like the key of a source.
_KEY = re.compile(r"\b[A-Z][A-Z0-9-]+\b")
#: Not keys, though in capitals.
_NO_KEYS = frozenset({"D", "W", "I", "U", "G"})
#: The line below the head of a table.
_RULE = re.compile(r"\|[-| ]+\|")


class Citation(NamedTuple):
    """One cited section; ``line`` counts from 1."""

    path: str
    line: int
    section: str


class Fact(NamedTuple):
    """A paragraph, a list item or a table's row of a numbered section; ``line`` counts from 1."""

    section: str
    line: int
    text: str


def citations(path: str, text: str) -> Iterator[Citation]:
    """Every section that ``text`` cites, also when the citation goes over a line's end."""
    for match in _CITATION.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        sections = re.findall(_NUMBER, match[1])
        if match[2]:
            sections[-1] += f".{match[2]}"
        for section in sections:
            yield Citation(path, line, section)


def sections(page: str) -> dict[str, list[str]]:
    """The lines of each numbered section, by its number. A part counts for its whole as well."""
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in page.splitlines():
        if line.startswith("#"):
            match = _HEADING.match(line)
            current = [match[1], match[1].partition(".")[0]] if match else []
            for number in current:
                found.setdefault(number, [])
        elif line.strip():
            for number in dict.fromkeys(current):
                found[number].append(line)
    return found


def facts(page: str) -> Iterator[Fact]:
    """The facts of the numbered sections. Heads of tables and lines that lead to one are none."""
    lines = [*page.splitlines(), ""]
    section, block, began = "", "", 0
    for number, line in enumerate(lines, 1):
        if block and (not line.strip() or line.startswith(("#", "* ", "|"))):
            if section and not block.endswith(":"):
                yield Fact(section, began, block)
            block = ""
        if line.startswith("#"):
            match = _HEADING.match(line)
            section = match[1] if match else ""
        elif line.startswith("|"):
            is_head = any(_RULE.fullmatch(each) for each in lines[number - 1 : number + 1])
            if section and not is_head:
                yield Fact(section, number, line)
        elif line.strip():
            began = began if block else number
            block = f"{block} {line.strip()}".strip()


def known_sources(page: str) -> set[str]:
    """The keys of the table of sources that say where: an address, a path, a section."""
    rows = re.findall(r"^\| ([A-Z][A-Z0-9-]+) \| [^|]+ \| ([^|]+) \|$", page, re.MULTILINE)
    return {key for key, place in rows if re.search(r"https://|`|section \d", place)}


def files() -> Iterator[Path]:
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*")):
            if path.suffix in SOURCES and not any(skip in path.parts for skip in SKIPPED):
                yield path


def cited() -> list[Citation]:
    return [
        citation
        for path in files()
        for citation in citations(str(path.relative_to(ROOT)), path.read_text())
    ]


def test_every_citation_leads_to_a_section_that_says_something() -> None:
    page = sections(PAGE.read_text())
    wrong = [
        f"{path}:{line}: contract {section} "
        + ("is an empty section" if section in page else "has no heading")
        for path, line, section in cited()
        if not page.get(section)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_code_cites_the_contract_at_all() -> None:
    assert {citation.section for citation in cited()} >= {"1.3", "2.1", "3", "4.1", "5", "10.27"}


def test_every_fact_has_an_evidence_mark() -> None:
    wrong = [
        f"{PAGE.relative_to(ROOT)}:{fact.line}: no mark of evidence: {fact.text[:60]}"
        for fact in facts(PAGE.read_text())
        if not _MARK.search(fact.text)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_source_named_in_a_mark_is_in_the_table_of_sources() -> None:
    page = PAGE.read_text()
    known = known_sources(page) | _NO_KEYS
    wrong = [
        f"{PAGE.relative_to(ROOT)}:{fact.line}: unknown source {key}"
        for fact in facts(page)
        for _letter, rest in _MARK.findall(fact.text)
        for key in _KEY.findall(rest)
        if key not in known
    ]
    assert not wrong, "\n".join(wrong)


def test_every_documented_fact_names_its_page() -> None:
    wrong = [
        f"{PAGE.relative_to(ROOT)}:{fact.line}: documented, but where? {fact.text[:60]}"
        for fact in facts(PAGE.read_text())
        for letter, rest in _MARK.findall(fact.text)
        if letter == "D" and not _KEY.search(rest)
    ]
    assert not wrong, "\n".join(wrong)


def test_every_source_is_used() -> None:
    page = PAGE.read_text()
    marks = [mark for fact in facts(page) for mark in _MARK.findall(fact.text)]
    used = {key for _letter, rest in marks for key in _KEY.findall(rest)}
    assert known_sources(page) - used == set()


def test_citations_of_all_forms_are_seen() -> None:
    text = (
        "(contract 4.1)\n"
        "(contract sections 1.3 and 10)\n"
        "(contract 1.4, 4.1, 4.2)\n"
        "(contract 6: CONC, RESV)\n"
        "Contract 10, item 29\n"
        "never to the next (contract\n"
        "    2.3). Kept\n"
        "# The contract (4.3) has one list\n"
        "a contract of 3 years\n"
    )
    found = [(citation.line, citation.section) for citation in citations("sample.py", text)]
    assert found == [
        (1, "4.1"),
        (2, "1.3"),
        (2, "10"),
        (3, "1.4"),
        (3, "4.1"),
        (3, "4.2"),
        (4, "6"),
        (5, "10.29"),
        (6, "2.3"),
        (8, "4.3"),
    ]


def test_a_fact_without_a_mark_is_seen() -> None:
    page = (
        "## 1. One\n\nThese are its parts:\n\n| a | b |\n|---|---|\n| x | y [D CR] |\n| z | no |\n"
        "\n* item\n  in two lines\n* known [G]\n\n## Sources\n\nnothing\n\n## 2. Two\n"
    )
    assert [(fact.line, fact.text) for fact in facts(page) if not _MARK.search(fact.text)] == [
        (8, "| z | no |"),
        (10, "* item in two lines"),
    ]
    assert sections(page)["2"] == []
