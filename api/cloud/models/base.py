"""What all request models have in common."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    """A structure inside a request. Field names are the wire names.

    Text is turned into the declared type, since forms and queries send nothing but text (``"3"``,
    ``"True"``, ``"true"``); a number is not turned into text, because the platform refuses that
    too. Unknown fields are ignored: real clients send some.
    """

    # Built when the first request comes: there are ninety of them, and most are never used.
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Request(Part):
    """The parameters of one action."""


def _as_base64(value: object) -> object:
    """A multipart request carries the package as it is."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


#: A zip in base64, also when the client sent its bytes.
ZipText = Annotated[str, BeforeValidator(_as_base64)]
