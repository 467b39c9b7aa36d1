"""``kill -9`` of the control plane: nothing is lost, and nothing is left behind."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.support.product import Product, bash_runtime, left_behind
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.engine


def test_a_killed_control_plane_loses_nothing_and_its_containers_are_swept(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.start()
    try:
        product.create("kept", {"bootstrap": bash_runtime('echo "hello" >&2; echo "$1"')})
        answers = [product.invoke("kept", {"n": number}) for number in range(20)]
        last = answers[-1].response.headers["X-Scf-Request-Id"]
        wait_until(lambda: "hello" in product.log_of(last))  # all has come out of the container
        product.kill()
        before = left_behind(product.installation)
        assert before, "the killed control plane left its containers"

        product.start()
        wait_until(lambda: not set(before) & set(left_behind(product.installation)))
        assert product.http.get("/functions/kept").json()["status"] == "Active"
        lines = 0
        for answer in answers:
            request_id = answer.response.headers["X-Scf-Request-Id"]
            record = product.http.get(f"/invocations/{request_id}").json()
            assert record["status"] == 200
            lines += record["log"].count("hello")
        assert lines == len(answers)
        again = product.invoke("kept", {"n": 20})
        assert again.status == 200
        assert again.cold
    finally:
        product.stop()
        product.http.close()
    assert left_behind(product.installation) == []


def test_a_control_plane_killed_at_work_has_kept_what_it_answered(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.start()
    answered: list[list[str]] = [[] for _ in range(4)]

    def invoke_until_it_dies(mine: list[str]) -> None:
        with suppress(httpx.TransportError):
            while True:
                answer = product.invoke("kept", {"n": 1})
                mine.append(answer.response.headers["X-Scf-Request-Id"])

    try:
        product.create("kept", {"bootstrap": bash_runtime()})
        with ThreadPoolExecutor(4) as callers:
            calls = [callers.submit(invoke_until_it_dies, mine) for mine in answered]
            wait_until(lambda: sum(map(len, answered)) > 200, within_s=60)
            product.kill()
            for call in calls:
                call.result(60)

        product.start()
        for request_id in (known for mine in answered for known in mine):
            record = product.http.get(f"/invocations/{request_id}")
            assert record.status_code == 200, request_id
            assert record.json()["status"] == 200
    finally:
        product.stop()
        product.http.close()
    assert left_behind(product.installation) == []


def test_a_second_start_by_mistake_ends_and_leaves_the_first_alone(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.start()
    try:
        product.create("kept", {"bootstrap": bash_runtime()})
        assert product.invoke("kept").cold
        before = set(left_behind(product.installation))
        for settings in ({}, {"SCF_DATA_DIR": str(tmp_path / "another")}):
            second = product.again(**settings)
            assert second.returncode == 1
            assert "sandbox_failed" in second.stderr
            assert "Traceback" not in second.stderr
        assert before <= set(left_behind(product.installation))
        warm = product.invoke("kept")
        assert warm.status == 200
        assert not warm.cold
    finally:
        product.stop()
        product.http.close()
    assert left_behind(product.installation) == []


def test_what_a_killed_sandbox_left_is_swept_before_the_next_one_serves(tmp_path: Path) -> None:
    product = Product(tmp_path / "data")
    product.start()
    try:
        product.create("kept", {"bootstrap": bash_runtime()})
        assert product.invoke("kept").status == 200
        product.kill()
        mine = f"scf-sandbox={product.installation}"
        (image,) = docker("ps", "--filter", f"label={mine}", "--format", "{{.Image}}")[:1]
        for _ in range(21):
            labels = ("--label", mine, "--label", "scf-sandbox.role=instance")
            docker("run", "--detach", "--network", "none", *labels, image, "sleep", "1000")
        product.start()
        assert product.invoke("kept").status == 200
        running = product.http.get("/instances").json()["instances"]
        role = ("--filter", f"label={mine}", "--filter", "label=scf-sandbox.role=instance")
        assert len(docker("ps", "--all", "--quiet", *role)) <= len(running)
    finally:
        product.stop()
        product.http.close()
    assert left_behind(product.installation) == []


def docker(*arguments: str) -> list[str]:
    done = subprocess.run(["docker", *arguments], check=True, capture_output=True, text=True)
    return done.stdout.split()
