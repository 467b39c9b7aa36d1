"""Tencent's Node clients, each in a process that makes the calls it is told (``node/serve.js``)."""

from __future__ import annotations

import json
import subprocess
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from tests.clients.client import SECRET_ID, SECRET_KEY, Client, Refused, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.product import Product

#: Where ``scripts/test`` installs what ``package-lock.json`` names.
NODE = Path(__file__).parent / "node"


class NodeClient(Client):
    def __init__(self, calls: IO[str], outcomes: IO[str]) -> None:
        self._calls = calls
        self._outcomes = outcomes

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        print(json.dumps({"action": action, "params": params}), file=self._calls, flush=True)
        outcome: dict[str, Any] = json.loads(self._outcomes.readline())
        if "error" in outcome:
            error = outcome["error"]
            assert error.get("code"), error
            raise Refused(error["code"], error.get("requestId", ""))
        answer: dict[str, Any] = outcome["answer"]
        return answer


@contextmanager
def node_client(
    script: str,
    product: Product,
    method: str,
    signature: str,
    secret: tuple[str, str] = (SECRET_ID, SECRET_KEY),
) -> Iterator[NodeClient]:
    options = {
        "endpoint": f"127.0.0.1:{product.port}",
        "method": method,
        "signature": signature,
        "secretId": secret[0],
        "secretKey": secret[1],
    }
    with subprocess.Popen(
        ["node", str(NODE / script), json.dumps(options)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment(product.data_dir.parent),
        encoding="utf-8",
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield NodeClient(process.stdin, process.stdout)
        # Its input ends, and so does it.
        process.stdin.close()
        assert process.wait(20) == 0
