"""The platform's timer expressions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from sandbox.cron import Cron
from sandbox.errors import RequestError

#: A Thursday.
START = datetime(2026, 1, 1, tzinfo=UTC).timestamp()


def times(expression: str, count: int, after: float = START) -> list[str]:
    """The next times of an expression, as text."""
    cron, found = Cron(expression), []
    for _ in range(count):
        at = cron.next_after(after)
        assert at is not None
        found.append(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S"))
        after = at
    return found


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("*/5 * * * * * *", ["2026-01-01 00:00:05", "2026-01-01 00:00:10"]),
        ("0 */5 * * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
        ("0 0 2 1 * * *", ["2026-01-01 02:00:00", "2026-02-01 02:00:00"]),
        ("0 15 10 * * MON-FRI *", ["2026-01-01 10:15:00", "2026-01-02 10:15:00"]),
        ("0 0 10,14,16 * * * *", ["2026-01-01 10:00:00", "2026-01-01 14:00:00"]),
        ("0 0 0 1 JAN * *", ["2027-01-01 00:00:00", "2028-01-01 00:00:00"]),
        ("*/5 * * * *", ["2026-01-01 00:05:00", "2026-01-01 00:10:00"]),
    ],
)
def test_the_documented_forms_are_understood(expression: str, expected: list[str]) -> None:
    assert times(expression, 2) == expected


def test_item_31_of_a_day_and_a_weekday_either_is_enough() -> None:
    found = times("0 0 0 5 * WED *", 4)
    assert found == [
        *("2026-01-05 00:00:00", "2026-01-07 00:00:00"),
        *("2026-01-14 00:00:00", "2026-01-21 00:00:00"),
    ]


def test_item_31_weekday_0_is_sunday() -> None:
    assert times("0 0 0 * * 0 *", 2) == ["2026-01-04 00:00:00", "2026-01-11 00:00:00"]
    assert times("0 0 0 * * SUN *", 1) == times("0 0 0 * * 0 *", 1)


def test_item_31_the_seventh_field_is_the_year() -> None:
    assert times("0 0 0 1 1 * 2030", 1) == ["2030-01-01 00:00:00"]
    assert Cron("0 0 0 1 1 * 2030").next_after(datetime(2031, 1, 1, tzinfo=UTC).timestamp()) is None


@pytest.mark.parametrize(
    "expression",
    [
        *("", "*", "* * * * * *", "* * * * * * * *"),
        *("60 * * * * * *", "* 60 * * * * *", "* * 24 * * * *", "* * * 32 * * *"),
        *("* * * * 13 * *", "* * * * * 7 *", "* * * * * 1-7 *", "* * * * * 8 *"),
        *("* * * * * * 1969", "* * * * * * 2100"),
        *("a * * * * * *", "* * * L * * *", "* * * ? * * *", "* * * * * 1#2 *", "H * * * * * *"),
        *("R * * * * * *", "@daily", "0 0 31 FEB * * *"),
    ],
)
def test_what_is_none_is_refused(expression: str) -> None:
    with pytest.raises(RequestError) as caught:
        Cron(expression)
    assert caught.value.code == "InvalidParameterValue.TriggerCronConfig"
