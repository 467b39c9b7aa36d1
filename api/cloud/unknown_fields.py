"""Finds the fields of a request that its action does not have.

The platform refuses them at its gateway, before the action sees the request (contract 13.1).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeAlias, get_args

import structlog
from pydantic import BaseModel

from api.cloud.extra_fields import EXTRA
from api.cloud.models import REQUESTS
from sandbox.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from api.cloud.wire.request import CloudRequest

log = structlog.get_logger()

#: The fields of a structure by name; None where a field is no structure.
Shape: TypeAlias = "Mapping[str, Shape | None]"

#: How much of a name an answer and the log have, and how many names of one request the log has.
NAME_SHOWN = 80
NAMES_LOGGED = 10


class UnknownFields:
    """What becomes of unknown fields. Used for every request; it keeps nothing."""

    def __init__(self, *, refuse: bool) -> None:
        """Without ``refuse`` they are dropped, with a warning in the log."""
        self._refuse = refuse

    def check(self, call: CloudRequest) -> None:
        """Raise ``UnknownParameter`` for the first field that the action does not have.

        Nothing is known of actions that are not simulated.
        """
        known = _known(call.action)
        # Invoke has no structures, so this comparison is all that an event waits for.
        if known is None or (known.flat and call.params.keys() <= known.shape.keys()):
            return
        found = list(islice(unknown(known.shape, call.params), NAMES_LOGGED))
        if not found:
            return
        if self._refuse:
            raise RequestError(f"The parameter `{found[0]}` is not recognized.", "UnknownParameter")
        log.warning(
            "unknown_fields_dropped",
            action=call.action,
            fields=found,
            request_id=call.request_id,
        )


def unknown(shape: Shape, params: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """The dotted names of the fields that are not in ``shape``, in the order of the request.

    Members of lists have their numbers, as in forms: ``Layers.0.Name``. A value that is no
    structure where one should be is the model's to refuse.
    """
    for name, value in params.items():
        if name not in shape:
            yield (path + name)[:NAME_SHOWN]
            continue
        inner = shape[name]
        if inner is None:
            continue
        if isinstance(value, dict):
            yield from unknown(inner, value, f"{path}{name}.")
        elif isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, dict):
                    yield from unknown(inner, item, f"{path}{name}.{number}.")


@dataclass(frozen=True, slots=True)
class _Known:
    """The fields of an action. ``flat``: none of them is a structure."""

    shape: Shape
    flat: bool


def _known(action: str) -> _Known | None:
    return _known_of(action) if action in EXTRA else None


@cache
def _known_of(action: str) -> _Known:
    extras = {extra.name: None for extra in EXTRA[action]}
    shape = {**extras, **_fields_of(REQUESTS[action])}
    return _Known(shape, not any(shape.values()))


@cache
def _fields_of(model: type[BaseModel]) -> Shape:
    shape: dict[str, Shape | None] = {}
    for name, field in model.model_fields.items():
        structure = _structure_in(field.annotation)
        shape[name] = None if structure is None else _fields_of(structure)
    return shape


def _structure_in(annotation: Any) -> type[BaseModel] | None:
    """The model in ``Model``, ``Model | None``, ``list[Model] | None``; None without one."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = (_structure_in(part) for part in get_args(annotation))
    return next((model for model in found if model is not None), None)
