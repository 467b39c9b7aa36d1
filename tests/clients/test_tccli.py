"""Tencent's command line client, ``tccli``, against a running sandbox."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.clients.client import (
    REGION,
    SECRET_ID,
    SECRET_KEY,
    Client,
    Refused,
    as_json,
    environment,
)
from tests.clients.life import EVENT, Life, package, refuses_other_keys
from tests.support.product import ROOT

if TYPE_CHECKING:
    from tests.support.product import Product

#: It lives in an environment of its own: see scripts/test.
TCCLI = Path(os.environ.get("SCF_TEST_TCCLI", ROOT / ".venv-tccli" / "bin" / "tccli"))

pytestmark = pytest.mark.timeout(240)

UNTIL_ACTIVE = "{'expr':'Status','to':'Active','timeout':30,'interval':1}"

#: How the program says that it was refused.
REFUSAL = re.compile(
    r"\[TencentCloudSDKException\] code:(\S+) message:.* requestId:(\S+)\s*", re.DOTALL
)


class Tccli(Client):
    """One run of the program for each call."""

    def __init__(
        self,
        product: Product,
        secret: tuple[str, str] = (SECRET_ID, SECRET_KEY),
        home: Path | None = None,
    ) -> None:
        self._endpoint = ["--endpoint", product.url]
        self._environment = {
            **environment(home or product.data_dir.parent),
            "TENCENTCLOUD_SECRET_ID": secret[0],
            "TENCENTCLOUD_SECRET_KEY": secret[1],
            "TENCENTCLOUD_REGION": REGION,
        }

    def run(self, *arguments: str) -> str:
        """What it prints; raises ``Refused``."""
        done = subprocess.run(
            [str(TCCLI), *arguments],
            capture_output=True,
            encoding="utf-8",
            stdin=subprocess.DEVNULL,
            timeout=60,
            env=self._environment,
        )
        if done.returncode:
            said = REFUSAL.fullmatch(done.stderr)
            assert said, done.stdout + done.stderr
            assert done.returncode == 255
            raise Refused(said[1], said[2])
        return done.stdout

    def scf(self, action: str, *arguments: str) -> str:
        return self.run("scf", action, *self._endpoint, *arguments)

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self.scf(action, *flags(params)))
        return answer

    def until_active(self, name: str, **params: Any) -> dict[str, Any]:
        """With its own waiter, which prints a line for each time it has asked in vain."""
        given = flags({"FunctionName": name, **params})
        told = self.scf("GetFunction", *given, "--waiter", UNTIL_ACTIVE)
        answer: dict[str, Any] = json.loads(told[told.index("{") :])
        return answer


def flags(params: dict[str, Any]) -> list[str]:
    given: list[str] = []
    for name, value in params.items():
        given += [f"--{name}", value if isinstance(value, str) else as_json(value)]
    return given


def test_a_function_lives_from_create_to_delete(product: Product) -> None:
    Life(Tccli(product), product, "tccli-life").live()


def test_another_key_is_refused_and_changes_nothing(product: Product) -> None:
    wrong = Tccli(product, (SECRET_ID, "wrong"))
    unknown = Tccli(product, ("nobody", SECRET_KEY))
    refuses_other_keys(Tccli(product), wrong, unknown)


def test_flags_for_single_fields_files_and_a_configured_endpoint_work_too(
    product: Product, tmp_path: Path
) -> None:
    client = Tccli(product, home=tmp_path)
    client.run("configure", "set", "scf.endpoint", product.url)
    name = ("--FunctionName", "spelled-out")
    client.run(
        *("scf", "CreateFunction", "--cli-unfold-argument", *name, "--Runtime", "CustomRuntime"),
        *("--Code.ZipFile", package("first"), "--Timeout", "5"),
        *("--Environment.Variables.0.Key", "GREETING", "--Environment.Variables.0.Value", "hello"),
    )
    client.until_active("spelled-out")
    document = tmp_path / "invoke.json"
    document.write_text(as_json({"FunctionName": "spelled-out", "ClientContext": EVENT}))
    said = client.run(
        *("scf", "Invoke", "--cli-input-json", document.as_uri()),
        *("--filter", "Result.RetMsg", "--output", "text"),
    )
    assert said.strip() == f"first|hello||{EVENT}"
    table = client.run("scf", "ListFunctions", "--SearchKey", "spelled-out", "--output", "table")
    assert "spelled-out" in table
    client.run("scf", "DeleteFunction", *name)
