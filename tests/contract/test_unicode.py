"""Text that JSON can escape but Unicode does not have is refused, not crashed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.cloud_kit import running_cloud

if TYPE_CHECKING:
    from pathlib import Path


UPDATE = "UpdateFunctionConfiguration"


@pytest.mark.parametrize(
    ("action", "field", "value", "code"),
    [
        (UPDATE, "Description", r'"\ud800"', "InvalidParameterValue.Description"),
        ("UpdateFunctionCode", "Handler", r'"index.\udfff"', "InvalidParameterValue.Handler"),
        (UPDATE, "Environment", r'{"Variables": [{"Key": "A", "Value": "\ud83d"}]}', None),
        ("CreateFunction", "Tags", r'[{"Key": "\ud83d", "Value": ""}]', None),
        (UPDATE, "Role", r'"\ud83d"', None),
    ],
)
async def test_half_a_surrogate_pair_is_refused_by_the_parameters_name(
    tmp_path: Path, action: str, field: str, value: str, code: str | None
) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        response = await cloud.client.post(
            "/",
            content=f'{{"FunctionName":"echo","{field}":{value}}}',
            headers={"X-TC-Action": action},
        )
    error = response.json()["Response"]["Error"]
    assert error["Code"].startswith("InvalidParameter")
    assert field in error["Message"]
    if code is not None:
        assert error["Code"] in (code, "InvalidParameterValue")


async def test_whole_pairs_are_characters_like_any_other(tmp_path: Path) -> None:
    async with running_cloud(tmp_path) as cloud:
        await cloud.create()
        response = await cloud.client.post(
            "/",
            content=r'{"FunctionName":"echo","Description":"\ud83d\ude00"}',
            headers={"X-TC-Action": "UpdateFunctionConfiguration"},
        )
        assert "Error" not in response.json()["Response"]
        assert (await cloud.call("GetFunction", FunctionName="echo"))["Description"] == "😀"
