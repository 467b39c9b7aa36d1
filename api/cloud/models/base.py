"""What all request models have in common."""

from __future__ import annotations

import base64
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    """A structure inside a request. Field names are the wire names.

    Text is turned into the declared type, because forms and queries send only text (``"3"``,
    ``"True"``, ``"true"``). A number is not turned into text: the platform refuses it too. Fields
    that it does not have are dropped: ``unknown_fields`` has refused those that must not be.
    """

    # A model is built at its first request: there are ninety, and most are never used.
    model_config = ConfigDict(extra="ignore", frozen=True, defer_build=True)


class Request(Part):
    """The parameters of one action."""


def _as_base64(value: object) -> object:
    """A multipart request holds the package as bytes."""
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


#: A zip in base64, also when the client sent its bytes.
ZipText = Annotated[str, BeforeValidator(_as_base64)]
