"""Two sandboxes on one engine: side by side with two installations, refused with one."""

from __future__ import annotations

import json
import subprocess
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import Product, bash_runtime, left_behind
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.engine

ECHO = {"bootstrap": bash_runtime()}


def docker(*arguments: str) -> str:
    done = subprocess.run(
        ["docker", *arguments], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


def inspected(container: str) -> dict[str, Any]:
    (facts,) = json.loads(docker("inspect", container))
    assert isinstance(facts, dict)
    return facts


@pytest.fixture
def product(tmp_path: Path) -> Iterator[Product]:
    product = Product(tmp_path / "data", SCF_STANDBY="0")
    yield product
    if product.process is not None:
        product.stop()
    product.http.close()
    assert left_behind(product.installation) == []


def test_a_second_one_with_the_same_installation_is_refused_and_harms_nobody(
    product: Product, tmp_path: Path
) -> None:
    product.start()
    product.create("mine", ECHO)
    assert product.invoke("mine", {"n": 1}).status == 200
    (before,) = product.instances("mine")
    other = Product(tmp_path / "other")
    refused = product.again(
        SCF_DATA_DIR=str(tmp_path / "other" / "data"),
        SCF_PORT=str(other.port),
        SCF_RUNTIME_PORT=other.runtime_port,
    )
    assert refused.returncode == 1
    assert f"the installation '{product.installation}' belongs to another sandbox" in refused.stderr
    assert "SCF_INSTALLATION" in refused.stderr
    assert "Traceback" not in refused.stderr
    answer = product.invoke("mine", {"n": 2})
    assert (answer.status, answer.cold) == (200, False)
    assert [view["instance_id"] for view in product.instances("mine")] == [before["instance_id"]]
    other.http.close()


def test_a_killed_ones_installation_is_taken_over_at_once(product: Product) -> None:
    product.start()
    product.kill()
    began = time.monotonic()
    product.start()
    assert time.monotonic() - began < 25, "nobody waited for the dead one"
    product.stop()


def claim(product: Product, holder: str, since: float) -> str:
    """Made by hand, as somebody makes it whose processes are beyond sight."""
    label = f"scf-sandbox={product.installation}"
    return docker(
        *("create", "--name", f"scf-{product.installation}-claim", "--network", "none"),
        *("--label", label, "--label", "scf-sandbox.role=claim"),
        *("--label", f"scf-sandbox.holder={holder}", "--label", f"scf-sandbox.since={since:.0f}"),
        *("scf-sandbox/centos7", "true"),
    )


@pytest.mark.parametrize(
    "holder", ["process 1 1 elsewhere/pid:[1]", "container 0123", "", "new a b"]
)
def test_a_claim_of_nobody_is_taken_over(product: Product, holder: str) -> None:
    claim(product, holder, time.time() - 60)
    product.start()
    product.stop()


def test_a_fresh_claim_of_somebody_beyond_sight_is_believed(product: Product) -> None:
    made = claim(product, "process 1 1 elsewhere/pid:[1]", time.time())
    refused = product.again()
    assert refused.returncode == 1
    assert "belongs to another sandbox" in refused.stderr
    assert inspected(made)["Id"] == made
    docker("rm", made)


def test_two_installations_do_not_touch_each_other(product: Product, tmp_path: Path) -> None:
    product.start()
    product.create("mine", ECHO)
    other = Product(tmp_path / "other" / "data", SCF_STANDBY="0")
    (tmp_path / "other").mkdir()
    other.start()
    other.create("mine", {"bootstrap": bash_runtime("echo other")})
    assert product.invoke("mine", {"n": 1}).response.json() == {"n": 1}
    assert other.invoke("mine").response.text == "other\n"
    other.stop()
    other.http.close()
    assert left_behind(other.installation) == []
    answer = product.invoke("mine", {"n": 2})
    assert (answer.status, answer.cold) == (200, False)


def test_compose_does_not_take_a_functions_container_for_its_own(product: Product) -> None:
    product.start()
    product.create("mine", ECHO)
    assert product.invoke("mine").status == 200
    label = f"label=scf-sandbox={product.installation}"
    wait_until(lambda: bool(docker("ps", "--quiet", "--filter", label)))
    for container in docker("ps", "--all", "--quiet", "--filter", label).split():
        labels = inspected(container)["Config"]["Labels"]
        assert not labels["com.docker.compose.project"]
        assert not labels["com.docker.compose.service"]
