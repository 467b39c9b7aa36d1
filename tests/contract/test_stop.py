"""SIGTERM and SIGINT, at the start, at work and at an engine that hangs. The whole product."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.support.product import ROOT, Product, bash_runtime, free_port
from tests.support.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.product import Answer

#: Longer than the time of grace.
LONG = "sleep 600"


def test_an_invocation_that_outlives_the_grace_time_ends_with_499_and_a_record(
    tmp_path: Path,
) -> None:
    product = Product(tmp_path / "data", "process", SCF_STANDBY="0")
    product.start()
    product.create("long", {"bootstrap": bash_runtime(LONG)}, timeout="900")
    answers: list[Answer] = []
    calling = threading.Thread(target=lambda: answers.append(product.invoke("long", {"n": 1})))
    calling.start()
    wait_until(lambda: any(view["state"] == "busy" for view in product.instances("long")))
    product.stop()
    calling.join(30)
    (answer,) = answers
    assert (answer.status, answer.response.status_code) == (499, 503)
    assert "the sandbox is stopping" in answer.error
    request_id = answer.response.headers["X-Scf-Request-Id"]
    product.start()
    record = product.http.get(f"/invocations/{request_id}").json()
    assert record["status"] == 499
    product.stop()
    product.http.close()


class SilentEngine:
    """A container engine that takes connections and never answers."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(16)

    def await_a_client(self) -> None:
        self._listener.settimeout(30)
        self.client, _ = self._listener.accept()

    def close(self) -> None:
        self.client.close()
        self._listener.close()


def start(directory: Path, **settings: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "api"],
        cwd=ROOT,
        env={
            **os.environ,
            "SCF_PORT": str(free_port()),
            "SCF_RUNTIME_PORT": str(free_port()),
            "SCF_DATA_DIR": str(directory / "data"),
            "SCF_INSTALLATION": f"{os.environ.get('SCF_TEST_INSTALLATION', 'test')}-stop",
            **settings,
        },
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_second_signal_ends_a_start_that_hangs_at_once(
    tmp_path: Path, number: signal.Signals
) -> None:
    engine = SilentEngine(tmp_path / "engine.sock")
    process = start(tmp_path, SCF_ENGINE="docker", DOCKER_HOST=f"unix://{engine.path}")
    engine.await_a_client()
    process.send_signal(number)
    process.send_signal(signal.SIGTERM if number is signal.SIGINT else signal.SIGINT)
    _, said = process.communicate(timeout=15)
    assert process.returncode > 128
    assert b"a second signal: ended at once" in said
    assert b"Traceback" not in said
    engine.close()


def test_a_signal_during_the_start_ends_it_without_a_stack(tmp_path: Path) -> None:
    process = start(tmp_path, SCF_ENGINE="process")
    wait_until((tmp_path / "data" / "lock").exists)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    assert b"Traceback" not in said
