"""Quotas and provisioned instances on real containers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import bash_runtime
from tests.support.product_cloud import ProductCloud
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def cloud(product: Product) -> ProductCloud:
    return ProductCloud(product)


def idle(product: Product, name: str) -> list[dict[str, Any]]:
    return [i for i in product.instances(name) if i["state"] == "idle"]


def test_provisioned_containers_are_initialised_replaced_and_survive_a_restart(
    product: Product, cloud: ProductCloud
) -> None:
    cloud.create("ready", bash_runtime('[ "$1" = "{}" ] || exit 3; echo $RANDOM', "echo hello"))
    cloud.call("PublishVersion", FunctionName="ready")
    cloud.active("ready", qualifier="1")
    which = {"FunctionName": "ready", "Qualifier": "1"}
    put = {**which, "VersionProvisionedConcurrencyNum": 2}
    cloud.call("PutProvisionedConcurrencyConfig", **put)

    def done() -> bool:
        [found] = cloud.call("GetProvisionedConcurrencyConfig", **which).Allocated
        return bool(found.Status == "Done")

    wait_until(done)
    before = {i["container_id"] for i in idle(product, "ready")}
    assert len(before) == 2
    first = product.invoke("ready", qualifier="1")
    assert (first.status, first.cold) == (200, False)
    assert product.invoke("ready", "crash", qualifier="1").status == 439
    wait_until(lambda: len(idle(product, "ready")) == 2)
    after = {i["container_id"] for i in idle(product, "ready")}
    assert len(after & before) == 1

    product.stop()
    product.start()
    wait_until(done)
    cloud.call("DeleteProvisionedConcurrencyConfig", **which)


def test_a_function_that_is_shut_off_starts_no_container(
    product: Product, cloud: ProductCloud
) -> None:
    cloud.create("off", bash_runtime())
    cloud.call("PutReservedConcurrencyConfig", FunctionName="off", ReservedConcurrencyMem=0)
    answer = product.invoke("off")
    assert answer.status == 432
    assert answer.error == "Function [ off ] concurrency exceeded reserved quota 0 MB"
    states = {i["state"] for i in product.instances("off")}
    assert states <= {"standing by", "starting"}
