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
    return GENERAL | codes
