"""``@tencent-sdk/capi``, the client below the Serverless tools, against a running sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.clients.client import SECRET_ID, SECRET_KEY
from tests.clients.life import Life, refuses_other_keys
from tests.clients.node_client import node_client

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.node

WAYS = [
    ("POST", "TC3-HMAC-SHA256"),
    ("POST", "HmacSHA256"),
    ("GET", "HmacSHA256"),
    ("POST", "HmacSHA1"),
    ("GET", "HmacSHA1"),
]


@pytest.mark.parametrize(("method", "signature"), WAYS)
def test_a_function_lives_from_create_to_delete(
    product: Product, method: str, signature: str
) -> None:
    with node_client("capi.js", product, method, signature) as client:
        Life(client, product, f"capi-{method}-{signature}").live()


@pytest.mark.parametrize(("method", "signature"), WAYS)
def test_another_key_is_refused_and_changes_nothing(
    product: Product, method: str, signature: str
) -> None:
    with (
        node_client("capi.js", product, method, signature) as client,
        node_client("capi.js", product, method, signature, (SECRET_ID, "wrong")) as wrong,
        node_client("capi.js", product, method, signature, ("nobody", SECRET_KEY)) as unknown,
    ):
        refuses_other_keys(client, wrong, unknown)
