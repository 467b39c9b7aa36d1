"""An interpreter in a layer, in a container: CentOS 7.6 itself has no Python 3."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.interpreter import create_in_python, publish_python
from tests.support.product_cloud import ProductCloud

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.engine


def test_an_interpreter_in_a_layer_runs_a_function(product: Product) -> None:
    cloud = ProductCloud(product)
    create_in_python(
        cloud, "in-python", {"LayerName": "python", "LayerVersion": publish_python(cloud)}
    )
    result = cloud.call(
        "Invoke", FunctionName="in-python", ClientContext='{"n": 21}', LogType="Tail"
    ).Result
    assert result.InvokeResult == 0, result.ErrMsg
    answer = json.loads(result.RetMsg)
    assert (answer["version"], answer["twice"]) == (sys.version, 42)
    assert answer["home"] == "/opt/python"
    assert "in Python 3" in result.Log.splitlines()
