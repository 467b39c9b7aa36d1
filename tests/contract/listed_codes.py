"""The error codes that the platform lists for each action (the public SDKs' lists of 2026)."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

#: Codes that any action may answer with, and the beginnings of the lists' own.
GENERAL = frozenset(
    {
        "DryRunOperation",
        "FailedOperation",
        "InternalError",
        "InvalidParameter",
        "InvalidParameterValue",
        "LimitExceeded",
        "MissingParameter",
        "ResourceInUse",
        "ResourceNotFound",
        "UnsupportedOperation",
    }
)

#: Codes of the protocol, from before an action is found or run: every action may have them.
PROTOCOL = frozenset(
    {
        "InternalError.System",
        "InvalidAction",
        "InvalidRequest",
        "NoSuchVersion",
        "UnknownParameter",
    }
)


@cache
def listed(action: str) -> frozenset[str]:
    """Every code that this action may answer with. The file has them by beginning; a dot stands
    for the beginning alone."""
    lists = json.loads((Path(__file__).parent / "error_codes.json").read_text())
    codes = {
        kind if name == "." else f"{kind}.{name}"
        for kind, names in lists.get(action, {}).items()
        for name in names.split()
    }
    # The contract (4.3) has one list for both: what InvokeFunction says of an unknown qualifier or
    # an event that is too large, Invoke has no word for.
    both = listed("InvokeFunction") if action == "Invoke" else frozenset()
    return GENERAL | codes | both


def require_listed(action: str, code: str) -> None:
    """Fails for a code that the platform does not list for the action."""
    known = code in listed(action) or code in PROTOCOL or code.startswith("AuthFailure.")
    assert known, f"{code} is not listed for {action}"
