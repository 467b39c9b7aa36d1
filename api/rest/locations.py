"""Where a thing is that a request made or changed: what ``Location`` says."""

from __future__ import annotations

from urllib.parse import quote, urlencode

from sandbox.functions.model import DEFAULT_NAMESPACE

LOCATION = "Location"


def function_at(namespace: str, name: str, *below: str) -> str:
    """The path of a function, or of something of it: ``versions``, ``1``."""
    path = at("functions", name, *below)
    where = "" if namespace == DEFAULT_NAMESPACE else f"?{urlencode({'namespace': namespace})}"
    return path + where


def invocation_at(request_id: str) -> str:
    """The path of an invocation's record."""
    return at("invocations", request_id)


def at(*parts: str) -> str:
    """The path of these parts. ``$`` stays: versions and aliases have it."""
    return "".join(f"/{quote(part, safe='$')}" for part in parts)
