"""The platform's timer expressions (contract 7.3).

An expression has seven fields: second, minute, hour, day, month, weekday, year. The older form has
five, without second and year. If both day and weekday are given, a match of either is enough.
Weekday 0 is Sunday. The platform does not document the time zone; here it is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sandbox.errors import InvalidParameterValue, RequestError

FIELDS, OLD_FIELDS = 7, 5
#: How many years an expression may name: 1970 to 2099.
YEARS = 130
#: Croniter knows more operators than the platform. They are refused.
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_NAMES = re.compile(r"[A-Za-z]+")
_MONTHS = frozenset(
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
)
_DAYS = frozenset(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])


class Cron:
    """One expression. ``InvalidParameterValue.TriggerCronConfig`` if it is not valid."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        fields = expression.split()
        if len(fields) not in (FIELDS, OLD_FIELDS):
            raise _invalid(expression, f"it has {len(fields)} fields")
        names = {name.upper() for field in fields for name in _NAMES.findall(field)}
        if not all(map(_FIELD.fullmatch, fields)) or names - _MONTHS - _DAYS:
            raise _invalid(expression, "only numbers, names, and , - * / may be in it")
        if "7" in re.split(r"[,-]", fields[-2 if len(fields) == FIELDS else -1].partition("/")[0]):
            raise _invalid(expression, "weekdays are 0 (Sunday) to 6")
        self._text = " ".join(fields)
        try:
            self._next_after(0.0)
        except ValueError as error:
            raise _invalid(expression, str(error)) from error

    def next_after(self, moment: float) -> float | None:
        """The first time after ``moment`` that the expression names, or None if there is none.

        Both are seconds since the epoch.
        """
        try:
            return self._next_after(moment)
        except ValueError:  # all its years are past
            return None

    def _next_after(self, moment: float) -> float:
        from croniter import croniter  # imported lazily: 2 MB that only timers need

        start = datetime.fromtimestamp(moment, UTC)
        found: float = croniter(
            self._text, start, second_at_beginning=True, max_years_between_matches=YEARS
        ).get_next(float)
        return found


def _invalid(expression: str, why: str) -> RequestError:
    return RequestError(
        f"TriggerCronConfig {expression[:80]!r} is not valid ({why}): send seven fields, second"
        " minute hour day month weekday year, for example '0 */5 * * * * *'",
        InvalidParameterValue.TRIGGER_CRON_CONFIG,
    )
