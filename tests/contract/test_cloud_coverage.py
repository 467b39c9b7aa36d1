"""No action is forgotten: each is driven through the official SDK with every field it has."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tencentcloud.common.exception.tencent_cloud_sdk_exception import TencentCloudSDKException
from tencentcloud.scf.v20180416 import models

from api.cloud.coverage import FIELDS
from api.cloud.wire import envelope
from tests.contract.coverage_kit import (
    NO_VALUE,
    driving_tests,
    kept_ledger,
    note_received,
    note_sent,
    paths_of,
)
from tests.contract.sdk_kit import Sdk, cloud_at_address

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def driven() -> dict[str, list[str]]:
    return driving_tests()


@pytest.mark.parametrize("action", sorted(FIELDS))
def test_an_action_that_is_simulated_is_driven_with_every_field_by_some_test(
    driven: dict[str, list[str]], action: str
) -> None:
    tests = driven.get(action, [])
    assert tests, f"no test says @drives({action!r}): see coverage_kit"


def test_no_test_drives_what_is_not_simulated(driven: dict[str, list[str]]) -> None:
    assert set(driven) - set(FIELDS) == set()


def test_what_no_answer_can_have_are_fields_that_the_sdk_knows() -> None:
    for known in NO_VALUE:
        action, _, path = known.partition(".")
        assert path in paths_of(f"{action}Response"), known


def test_fields_are_followed_into_lists_and_structures() -> None:
    assert paths_of("ListFunctionsRequest") >= {"Filters", "Filters.Name", "Filters.Values"}
    assert "RoutingConfig.AdditionalVersionWeights.Weight" in paths_of("GetAliasResponse")


async def test_a_field_that_the_sdk_does_not_know_fails_the_test_that_receives_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(envelope, "success", lambda _fields, _id: {"Response": {"New": 1}})
    async with cloud_at_address(tmp_path) as (_, address):
        with pytest.raises(TencentCloudSDKException, match=r"not in the SDK's model.*New"):
            await Sdk(address).call("ListFunctions")


def drive_alias(without: str = "") -> None:
    """All of UpdateAlias, but for one field of a structure in it."""
    rule = {"Version": "1", "Key": "k", "Method": "exact", "Expression": "e"}
    if without == "Expression":
        del rule["Expression"]
    request = models.UpdateAliasRequest()
    request._deserialize(
        {
            **dict.fromkeys(("FunctionName", "Name", "FunctionVersion", "Namespace"), "x"),
            "Description": "",
            "RoutingConfig": {
                "AdditionalVersionWeights": [{"Version": "2", "Weight": 0}],
                "AddtionVersionMatchs": [rule],
            },
        }
    )
    note_sent("UpdateAlias", request)
    note_received("UpdateAlias", {"RequestId": None if without == "RequestId" else "id"})


def test_a_test_that_drives_all_of_an_action_is_let_pass() -> None:
    with kept_ledger("UpdateAlias"):
        drive_alias()


@pytest.mark.parametrize("without", ["Expression", "RequestId"])
def test_a_test_that_leaves_a_field_out_fails(without: str) -> None:
    with pytest.raises(AssertionError, match=without), kept_ledger("UpdateAlias"):
        drive_alias(without)


def test_what_is_driven_in_one_test_does_not_count_for_another() -> None:
    with kept_ledger("UpdateAlias"):
        drive_alias()
    with pytest.raises(AssertionError, match="not sent"), kept_ledger("UpdateAlias"):
        pass
