"""Asynchronous execution in real containers: signals that reach the bootstrap, and the kill."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.product_cloud import HANDLES_SIGTERM, IGNORANT_OF_SIGTERM, ProductCloud
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.engine

LONG_LIVED = {"AsyncRunEnable": "TRUE", "TraceEnable": "TRUE", "Timeout": 86_400}


def running(cloud: ProductCloud, name: str, bootstrap: str) -> str:
    """An event at which a new function works."""
    cloud.create(name, bootstrap, **LONG_LIVED)
    request_id = cloud.send(name)
    cloud.working(name, request_id)
    return request_id


def test_sigterm_reaches_a_bootstrap_that_handles_it(product: Product) -> None:
    cloud = ProductCloud(product)
    request_id = running(cloud, "graceful", HANDLES_SIGTERM)
    params = {"FunctionName": "graceful", "InvokeRequestId": request_id}
    cloud.call("TerminateAsyncEvent", **params, GraceShutdown=True)
    wait_until(lambda: cloud.status(request_id) == ("FINISHED", 200))
    log = cloud.log("graceful", request_id)
    assert "told\n" in log
    assert "[PLATFORM] Signal received successfully.\n" in log
    assert len(product.instances("graceful")) >= 1


def test_sigterm_ends_a_bootstrap_that_does_not_handle_it(product: Product) -> None:
    cloud = ProductCloud(product)
    request_id = running(cloud, "ignorant", IGNORANT_OF_SIGTERM)
    params = {"FunctionName": "ignorant", "InvokeRequestId": request_id}
    cloud.call("TerminateAsyncEvent", **params, GraceShutdown=True)
    wait_until(lambda: cloud.status(request_id) == ("FAILED", 439))
    log = cloud.log("ignorant", request_id)
    assert "[PLATFORM] Signal received successfully.\n" in log
    assert "by signal 15" in log


def test_a_terminated_event_takes_its_container_with_it(product: Product) -> None:
    cloud = ProductCloud(product)
    request_id = running(cloud, "endless", IGNORANT_OF_SIGTERM)
    busy = [view for view in product.instances("endless") if view["request_id"] == request_id]
    assert len(busy) == 1
    cloud.call("TerminateAsyncEvent", FunctionName="endless", InvokeRequestId=request_id)
    assert cloud.status(request_id) == ("ABORTED", 499)
    gone = busy[0]["instance_id"]
    wait_until(lambda: gone not in [i["instance_id"] for i in product.instances("endless")])


def test_events_survive_kill_9_of_the_control_plane(product: Product) -> None:
    cloud = ProductCloud(product)
    request_id = running(cloud, "survivor", HANDLES_SIGTERM)
    product.kill()
    product.start()
    cloud.working("survivor", request_id)
    params = {"FunctionName": "survivor", "InvokeRequestId": request_id}
    wait_until(lambda: busy_with(product, "survivor", request_id))
    cloud.call("TerminateAsyncEvent", **params, GraceShutdown=True)
    wait_until(lambda: cloud.status(request_id) == ("FINISHED", 200))


def busy_with(product: Product, name: str, request_id: str) -> bool:
    views = product.instances(name)
    return any(v["request_id"] == request_id and v["state"] == "busy" for v in views)
