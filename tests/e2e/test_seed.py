"""The documentation's own example, unchanged: bootstrap, function, zip and SDK scripts."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from tests.support.product import Product

pytestmark = pytest.mark.engine

SEED = Path(__file__).parent / "seed"
BOOTSTRAP = (SEED / "bootstrap").read_text()
INDEX = (SEED / "index.sh").read_text()


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with demo.zip, packed as the documentation says."""
    place = tmp_path_factory.mktemp("demo")
    files = {name: (SEED / name).read_bytes() for name in ("index.sh", "bootstrap")}
    (place / "demo.zip").write_bytes(zip_of(files))
    return place


def run_script(product: Product, demo: Path, name: str) -> dict[str, Any]:
    """One of the documentation's scripts; only the endpoint is another one."""
    script = (SEED / name).read_text()
    assert '"scf.tencentcloudapi.com"' in script
    (demo / "script.py").write_text(script.replace('"scf.tencentcloudapi.com"', f'"{product.url}"'))
    done = subprocess.run(
        [sys.executable, "script.py"],
        cwd=demo,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        stdin=subprocess.DEVNULL,
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def test_the_documentations_scripts_create_and_invoke_its_function(
    product: Product, demo: Path
) -> None:
    assert list(run_script(product, demo, "create.txt")) == ["RequestId"]
    wait_until(
        lambda: product.http.get("/functions/CustomRuntime-Bash").json()["status"] == "Active"
    )
    answer = run_script(product, demo, "invoke.txt")
    result = answer["Result"]
    # The example's unquoted `echo $RESPONSE` makes one blank of several (contract 10.27).
    assert result["RetMsg"] == (
        'Echoing request: \'{ "key1": "test value 1", "key2": "test value 2" }\''
    )
    assert set(result) == {
        *("MemUsage", "Log", "RetMsg", "BillDuration"),
        *("FunctionRequestId", "Duration", "ErrMsg", "InvokeResult"),
    }
    assert (result["Log"], result["ErrMsg"], result["InvokeResult"]) == ("", "", 0)
    assert answer["RequestId"] == result["FunctionRequestId"]
    # What it writes to stderr, and the answers that its curl prints (contract 10.7).
    event = '{   "key1": "test value 1",   "key2": "test value 2" }'
    log = wait_until(lambda: log_with(product, answer["RequestId"], event)).splitlines()
    assert (log.count(event), log.count("OK")) == (1, 2)


def log_with(product: Product, request_id: str, line: str) -> str:
    """A request's log once that line has come out of the container, and what came with it."""
    log = product.log_of(request_id)
    return log if line in log.splitlines() and log.count("OK\n") == 2 else ""


def create(product: Product, name: str, index: str = INDEX) -> None:
    product.create(
        name,
        {"bootstrap": BOOTSTRAP, "index.sh": index},
        handler="index.main_handler",
        timeout="20",
    )


def test_the_example_expands_what_it_does_not_quote(product: Product) -> None:
    create(product, "globs")
    answer = product.invoke("globs", {"files": " * "})
    assert answer.response.text == """Echoing request: '{"files": " bootstrap index.sh "}'"""


def test_the_example_cannot_return_more_than_one_argument_holds(product: Product) -> None:
    create(product, "large")
    assert len(product.invoke("large", {"x": "y" * 100_000}).response.text) > 100_000
    answer = product.invoke("large", {"x": "y" * 140_000})
    assert answer.status == 439
    assert answer.error == "User process exit when running"
    assert "Argument list too long" in product.log_of(answer.response.headers["X-Scf-Request-Id"])


def test_tmp_stays_while_the_instance_is_warm_and_is_gone_with_it(product: Product) -> None:
    # The example's bootstrap leaves one file per event there.
    index = "main_handler() { case $1 in *die*) kill -9 $$;; esac; echo /tmp/* | wc -w; }\n"
    create(product, "leaves-files", index)
    said = [product.invoke("leaves-files", {"n": n}).response.text.strip() for n in range(3)]
    assert said == ["1", "2", "3"]
    assert product.invoke("leaves-files", {"die": 1}).status == 439
    again = product.invoke("leaves-files")
    assert (again.response.text.strip(), again.cold) == ("1", True)
