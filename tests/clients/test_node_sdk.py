"""Tencent's SDK for Node, ``tencentcloud-sdk-nodejs-scf``, against a running sandbox."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import pytest

from tests.clients.client import SECRET_ID, SECRET_KEY
from tests.clients.life import Life, refuses_other_keys
from tests.clients.node_client import node_client
from tests.support.product import bash_runtime
from tests.support.zips import zip_text

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.node

WAYS = [
    ("POST", "TC3-HMAC-SHA256"),
    ("GET", "TC3-HMAC-SHA256"),
    ("POST", "HmacSHA256"),
    ("GET", "HmacSHA256"),
]


@pytest.mark.parametrize(("method", "signature"), WAYS)
def test_a_function_lives_from_create_to_delete(
    product: Product, method: str, signature: str
) -> None:
    with node_client("sdk.js", product, method, signature) as client:
        Life(client, product, f"sdk-{method}-{signature}").live()


@pytest.mark.parametrize(("method", "signature"), WAYS)
def test_another_key_is_refused_and_changes_nothing(
    product: Product, method: str, signature: str
) -> None:
    with (
        node_client("sdk.js", product, method, signature) as client,
        node_client("sdk.js", product, method, signature, (SECRET_ID, "wrong")) as wrong,
        node_client("sdk.js", product, method, signature, ("nobody", SECRET_KEY)) as unknown,
    ):
        refuses_other_keys(client, wrong, unknown)


@pytest.mark.parametrize(("method", "signature"), WAYS)
def test_packages_and_events_may_be_as_large_as_the_gateway_takes_them(
    product: Product, method: str, signature: str
) -> None:
    """That is 10 MB of TC3 body, 1 MB of form, 32 KB of query; here two thirds of it and more."""
    room = {"GET": 32_000, "POST": 10_000_000 if signature.startswith("TC3") else 1_000_000}[method]
    name = f"large-{method}-{signature}"
    ballast = random.Random(0).randbytes(room // 2)
    event = json.dumps("中" * (room // 12))
    with node_client("sdk.js", product, method, signature) as client:
        client.call(
            "CreateFunction",
            FunctionName=name,
            Runtime="CustomRuntime",
            Code={"ZipFile": zip_text({"bootstrap": bash_runtime(), "ballast": ballast})},
        )
        assert client.until_active(name)["CodeSize"] > len(ballast)
        result = client.call("Invoke", FunctionName=name, ClientContext=event)["Result"]
        assert result["RetMsg"] == f"{event}\n"
        client.call("DeleteFunction", FunctionName=name)
