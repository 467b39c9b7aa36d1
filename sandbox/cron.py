"""The platform's timer expressions (contract 7.3).

Seven fields: second, minute, hour, day, month, weekday, year; the older form has five, without
second and year. Where both a day and a weekday are given, either is enough. Weekday 0 is Sunday.
Which time zone they are in is not documented; here it is UTC.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from sandbox.errors import InvalidParameterValue, RequestError

FIELDS, OLD_FIELDS = 7, 5
#: From the first to the last year that an expression may name, 1970 to 2099.
YEARS = 130
#: What croniter knows beyond the platform's operators is refused.
_FIELD = re.compile(r"[0-9A-Za-z*,/-]+")
_NAMES = re.compile(r"[A-Za-z]+")
_MONTHS = frozenset(
    ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
)
_DAYS = frozenset(["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"])


class Cron:
    """One expression. ``InvalidParameterValue.TriggerCronConfig`` unless it is a valid one."""

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
        """The first time after ``moment`` that it names; None when there is none any more.

        Both are seconds since the epoch.
        """
        try:
            return self._next_after(moment)
        except ValueError:  # its years are over
            return None

    def _next_after(self, moment: float) -> float:
        from croniter import croniter  # with what it brings 2 MB, for who has timers

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
