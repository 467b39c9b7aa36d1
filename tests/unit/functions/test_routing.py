"""Where an alias leads a request."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.functions.routing import Alias, Interval, VersionMatch, VersionWeight


def alias(**more: Any) -> Alias:
    return Alias(name="live", version="1", created_at=0.0, modified_at=0.0, **more)


def by(method: str, expression: str, key: str = "invoke.headers.Key") -> Alias:
    rule = VersionMatch(version="2", key=key, method=method, expression=expression)
    return alias(matches=(rule,))


def never() -> float:
    raise AssertionError("no number is to be drawn")


def test_an_alias_without_routing_leads_to_its_main_version_without_drawing() -> None:
    assert alias().route({"Key": "x"}, never) == "1"
    assert alias().versions == {"1"}


@pytest.mark.parametrize(
    ("weight", "drawn", "version"),
    [
        (0.0, 0.0, "1"),
        (0.3, 0.0, "2"),
        (0.3, 0.2999, "2"),
        (0.3, 0.3, "1"),
        (0.3, 0.9999, "1"),
        (1.0, 0.9999, "2"),
    ],
)
def test_a_share_is_what_is_drawn_below_it(weight: float, drawn: float, version: str) -> None:
    shared = alias(weights=(VersionWeight(version="2", weight=weight),))
    assert shared.route({}, lambda: drawn) == version


@pytest.mark.parametrize(
    ("value", "version"), [("blue", "2"), ("Blue", "1"), ("blue ", "1"), ("", "1")]
)
def test_exact_means_the_same_text(value: str, version: str) -> None:
    assert by("exact", "blue").route({"Key": value}, never) == version


def test_a_rule_looks_only_at_the_name_in_its_key() -> None:
    assert by("exact", "blue").route({"key": "blue", "Other": "blue"}, never) == "1"
    assert by("exact", "x", "invoke.headers.a.b").route({"a.b": "x"}, never) == "2"


@pytest.mark.parametrize(
    ("expression", "inside", "outside"),
    [
        ("(1,5)", ["2", "4", " 3 "], ["1", "5", "-2", "2.5", "two", "", "99"]),
        ("[1,5]", ["1", "5", "+3"], ["0", "6"]),
        ("(1,5]", ["2", "5"], ["1", "6"]),
        ("[1,5)", ["1", "4"], ["0", "5"]),
        ("[-5,-1]", ["-5", "-1"], ["0", "-6"]),
        (" [ 1 , 1 ] ", ["1"], ["0", "2"]),
    ],
)
def test_a_range_is_an_interval_of_integers(
    expression: str, inside: list[str], outside: list[str]
) -> None:
    ruled = by("range", expression)
    assert {ruled.route({"Key": value}, never) for value in inside} == {"2"}
    assert {ruled.route({"Key": value}, never) for value in outside} == {"1"}


@pytest.mark.parametrize(
    "text", ["", "1,5", "(1,2)", "[2,1]", "[a,b]", "[1,2,3]", "[1.5,2]", "[1 5]"]
)
def test_what_holds_no_integer_is_no_interval(text: str) -> None:
    assert Interval.parse(text) is None


@given(low=st.integers(-(10**17), 10**17), span=st.integers(2, 10**6), number=st.integers())
def test_open_and_closed_intervals_differ_in_their_bounds_only(
    low: int, span: int, number: int
) -> None:
    high = low + span
    closed, opened = Interval.parse(f"[{low},{high}]"), Interval.parse(f"({low},{high})")
    assert closed is not None
    assert opened is not None
    assert (number in closed) == (low <= number <= high)
    assert (number in opened) == (low < number < high)
    assert low in closed
    assert low not in opened
