"""Models of every request of the API, by theme. Field names are the wire names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from api.cloud.models import (
    account,
    concurrency,
    domains,
    events,
    functions,
    invoke,
    layers,
    logs,
    namespaces,
    triggers,
    versions,
)
from api.cloud.models.base import Request

if TYPE_CHECKING:
    from collections.abc import Mapping

_THEMES = (
    functions,
    invoke,
    versions,
    layers,
    triggers,
    namespaces,
    concurrency,
    events,
    logs,
    domains,
    account,
)

#: Action name to the model of its request: all actions of the API, simulated here or not.
REQUESTS: Mapping[str, type[Request]] = MappingProxyType(
    {
        name.removesuffix("Request"): model
        for theme in _THEMES
        for name, model in vars(theme).items()
        if isinstance(model, type) and issubclass(model, Request) and model is not Request
    }
)
