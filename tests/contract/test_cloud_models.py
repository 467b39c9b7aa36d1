"""The models have the fields of the official SDK, and say what is wrong in the platform's words."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, get_args, get_origin

import pytest
from pydantic import BaseModel
from tencentcloud.scf.v20180416 import models as sdk
from tencentcloud.scf.v20180416.scf_client import ScfClient

from api.cloud.codes import LISTED
from api.cloud.models import REQUESTS
from api.cloud.validation import validate
from sandbox.errors import RequestError
from tests.contract.coverage_kit import types_of
from tests.contract.listed_codes import listed

ACTIONS = sorted(
    name
    for name, value in vars(ScfClient).items()
    if callable(value) and name[0].isupper() and hasattr(sdk, f"{name}Request")
)


def our_fields(model: type[BaseModel]) -> dict[str, str]:
    return {name: _our_type(field.annotation) for name, field in model.model_fields.items()}


def _our_type(annotation: Any) -> str:
    if get_origin(annotation) is Annotated:
        return _our_type(get_args(annotation)[0])
    if isinstance(annotation, UnionType) or type(None) in get_args(annotation):
        (inner,) = (part for part in get_args(annotation) if part is not type(None))
        return _our_type(inner)
    if get_origin(annotation) is list:
        return f"list[{_our_type(get_args(annotation)[0])}]"
    name: str = annotation.__name__
    return name.removesuffix("Part")


def nested(model: type[BaseModel]) -> set[type[BaseModel]]:
    found: set[type[BaseModel]] = set()
    waiting: list[Any] = [field.annotation for field in model.model_fields.values()]
    while waiting:
        annotation = waiting.pop()
        waiting += get_args(annotation)
        if (
            isinstance(annotation, type)
            and issubclass(annotation, BaseModel)
            and annotation not in found
        ):
            found.add(annotation)
            waiting += [field.annotation for field in annotation.model_fields.values()]
    return found


def test_every_action_of_the_sdk_has_a_model_and_no_other() -> None:
    assert len(ACTIONS) == 52
    assert sorted(REQUESTS) == ACTIONS


@pytest.mark.parametrize("action", ACTIONS)
def test_a_request_has_the_fields_and_types_of_the_sdk(action: str) -> None:
    assert our_fields(REQUESTS[action]) == types_of(f"{action}Request")


def test_every_structure_in_a_request_has_the_fields_and_types_of_the_sdk() -> None:
    structures = {part for model in REQUESTS.values() for part in nested(model)}
    assert len(structures) == 37
    for part in structures:
        name = part.__name__.removesuffix("Part")
        assert our_fields(part) == types_of(name), name


def test_codes_that_name_a_parameter_are_those_of_the_platforms_lists() -> None:
    assert [pair for pair in LISTED if pair[1] not in listed(pair[0])] == []


def test_text_becomes_the_declared_type() -> None:
    request = validate(
        "CreateFunction",
        REQUESTS["CreateFunction"],
        {
            "FunctionName": "f",
            "Code": {"ImageConfig": {"ImageType": "a", "ImageUri": "b", "ImagePort": "80"}},
            "Timeout": "3",
        },
    ).model_dump(exclude_none=True)
    assert request["Timeout"] == 3
    assert request["Code"]["ImageConfig"]["ImagePort"] == 80


@pytest.mark.parametrize(("text", "value"), [("True", True), ("true", True), ("False", False)])
def test_booleans_are_read_in_pythons_and_in_nodes_spelling(text: str, value: bool) -> None:
    model = REQUESTS["TerminateAsyncEvent"]
    params = {"FunctionName": "f", "InvokeRequestId": "i", "GraceShutdown": text}
    dumped = validate("TerminateAsyncEvent", model, params).model_dump()
    assert dumped["GraceShutdown"] is value


def test_a_model_drops_what_was_let_through_to_it() -> None:
    params = {"FunctionName": "f", "ShowTriggers": "TRUE", "Nested": {"a": [1]}}
    dumped = validate("GetFunction", REQUESTS["GetFunction"], params).model_dump()
    assert set(dumped) == {"FunctionName", "Qualifier", "Namespace", "ShowCode"}


@pytest.mark.parametrize(
    ("action", "params", "code", "named"),
    [
        ("CreateFunction", {"FunctionName": "f"}, "MissingParameter.Code", "Code"),
        ("CreateFunction", {"Code": {}}, "MissingParameter", "FunctionName"),
        ("CreateFunction", {"FunctionName": None, "Code": {}}, "MissingParameter", "FunctionName"),
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {}, "MemorySize": "much"},
            "InvalidParameterValue.MemorySize",
            "MemorySize",
        ),
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {}, "Timeout": "soon"},
            "InvalidParameterValue",
            "Timeout",
        ),
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {}, "Timeout": [3]},
            "InvalidParameter",
            "Timeout",
        ),
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {}, "Environment": {"Variables": [{"Key": 1}]}},
            "InvalidParameterValue.Environment",
            "Environment.Variables.0.Key",
        ),
        (
            "CreateFunction",
            {"FunctionName": "f", "Code": {"ZipFile": 1}},
            "InvalidParameterValue.ZipFile",
            "Code.ZipFile",
        ),
        (
            "CreateFunction",
            {"FunctionName": 7, "Code": {}},
            "InvalidParameterValue.FunctionName",
            "FunctionName",
        ),
        (
            "PutReservedConcurrencyConfig",
            {"FunctionName": "f"},
            "MissingParameter",
            "ReservedConcurrencyMem",
        ),
        (
            "ListFunctions",
            {"Filters": [{"Name": "Status"}]},
            "MissingParameter",
            "Filters.0.Values",
        ),
        ("ListFunctions", {"Limit": "x"}, "InvalidParameterValue.Limit", "Limit"),
        ("ListAliases", {"FunctionName": "f", "Limit": 5}, "InvalidParameter", "Limit"),
    ],
)
def test_what_is_wrong_has_the_code_listed_for_it_and_names_the_field(
    action: str, params: dict[str, Any], code: str, named: str
) -> None:
    with pytest.raises(RequestError) as caught:
        validate(action, REQUESTS[action], params)
    assert caught.value.code == code
    assert named in caught.value.message
