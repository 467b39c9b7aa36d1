"""Turns the fields that curl sends into the function service's types."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import Form
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import from_json

from api.rest.parameters import Whole  # noqa: TC001 - pydantic evaluates it
from sandbox.errors import RequestError
from sandbox.functions.changes import ConfigChange
from sandbox.functions.model import LayerRef
from sandbox.functions.rules import environment_from_pairs
from sandbox.packages.archive import check_sizes

if TYPE_CHECKING:
    from fastapi import UploadFile

EnvironmentField = Annotated[
    list[str] | None,
    Form(description="`KEY=VALUE`, as often as needed, or one JSON object of strings"),
]
LayersField = Annotated[
    list[str] | None, Form(description="`NAME:VERSION`, as often as needed, in this order")
]


def _require_unicode(text: str) -> str:
    """Refuse half of a surrogate pair. JSON can escape it, and Unicode has no such character."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("it holds half of a surrogate pair: send whole characters") from None
    return text


Text = Annotated[str, AfterValidator(_require_unicode)]


class Strict(BaseModel):
    """A JSON body that has these fields and no others."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, value: Any) -> Any:
        known = cls.model_fields
        for name in value if isinstance(value, dict) else ():
            if name not in known:
                raise RequestError(
                    f"the body has no field {name[:80]!r}; it has {', '.join(known)}",
                    "InvalidParameterValue",
                )
        return value


class LayerField(Strict):
    """A version of a layer."""

    name: Text
    version: Whole


class ConfigFields(Strict):
    """The fields of a configuration. Those not given stay as they are."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"memory": 256, "environment": {"GREETING": "hello"}}},
    )

    handler: Text | None = None
    description: Text | None = None
    memory: Whole | None = Field(default=None, description="MB")
    timeout: Whole | None = Field(default=None, description="seconds")
    init_timeout: Whole | None = Field(default=None, description="seconds")
    environment: dict[str, str] | None = Field(
        default=None, description="replaces all variables; `{}` removes them"
    )

    layers: list[LayerField] | None = Field(
        default=None, description="replaces all layers, in this order; `[]` removes them"
    )
    traced: bool | None = Field(default=None, description="keep the states of events")

    def change(self) -> ConfigChange:
        """These fields as the function service takes them."""
        return ConfigChange(
            handler=self.handler,
            description=self.description,
            memory_mb=self.memory,
            timeout_s=self.timeout,
            init_timeout_s=self.init_timeout,
            environment=self.environment,
            layers=self._layers(),
            traced=self.traced,
        )

    def _layers(self) -> tuple[LayerRef, ...] | None:
        if self.layers is None:
            return None
        return tuple(LayerRef(name=layer.name, version=layer.version) for layer in self.layers)


def parse_layers(items: list[str] | None) -> list[LayerField] | None:
    """``NAME:VERSION`` items. None if nothing was given."""
    if items is None:
        return None
    found = []
    for item in items:
        name, _, number = item.partition(":")
        if not (number.isascii() and number.isdigit() and len(number) < 10):
            raise RequestError(f"layers: {item[:80]!r} is not NAME:VERSION, such as python:1")
        found.append(LayerField(name=name, version=int(number)))
    return found


async def read_zip(upload: UploadFile) -> bytes:
    """The bytes of an uploaded package. ``LimitError`` if it is above the platform's limit."""
    if upload.size is not None:
        check_sizes(upload.size, 0)
    return await upload.read()


def parse_environment(items: list[str] | None) -> dict[str, str] | None:
    """``KEY=VALUE`` items, or one JSON object, as a mapping. None if nothing was given."""
    if items is None:
        return None
    pairs: list[tuple[str, str]] = []
    for item in items:
        if item.lstrip().startswith("{"):
            pairs += _json_object(item).items()
        elif item:
            key, separator, value = item.partition("=")
            if not separator:
                raise _not_a_pair(f"{item!r} has no '='")
            pairs.append((key, value))
    return environment_from_pairs(pairs)


def _json_object(text: str) -> dict[str, str]:
    try:
        value = from_json(text, allow_inf_nan=False)
    except ValueError as error:
        raise _not_a_pair(f"it is not JSON ({error})") from error
    if not all(isinstance(item, str) for item in value.values()):
        raise _not_a_pair("every value of the JSON object must be a string")
    return dict(value)


def _not_a_pair(reason: str) -> RequestError:
    return RequestError(
        f"environment: {reason}; send KEY=VALUE, as often as needed, or one JSON object",
        "InvalidParameterValue.Environment",
    )
