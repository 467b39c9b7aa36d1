"""The platform's log limit counts each request by itself, whatever was written before it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tests.support.product import bash_runtime

if TYPE_CHECKING:
    from tests.support.product_cloud import ProductCloud

#: Writes as many lines as the event says, before its result.
LINES = """for ((n = 1; n <= $1; n++)); do echo "line $n"; done >&2; echo done"""


def test_a_request_may_fill_its_log_after_others_have_written(cloud: ProductCloud) -> None:
    product = cloud.product
    product.create("lines", {"bootstrap": bash_runtime(LINES)}, timeout="60")
    wrong = {}
    for count in (1, 40, 5000, 3, 5000):
        answer = product.invoke("lines", count)
        assert answer.status == 200
        log = product.log_of(answer.response.headers["X-Scf-Request-Id"])
        numbers = [int(number) for number in re.findall(r"^.*?line (\d+)$", log, re.MULTILINE)]
        if numbers != list(range(1, count + 1)):
            wrong[count] = (len(numbers), numbers[:3], log[-200:])
    assert wrong == {}
