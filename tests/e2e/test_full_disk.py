"""A data directory whose disk is full, or read-only: what is said, and what goes on."""

from __future__ import annotations

import http.client
import json
import os
import subprocess
from contextlib import closing, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.product import Product, bash_runtime
from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

MB = 1024 * 1024


@contextmanager
def small_disk(directory: Path) -> Iterator[Path]:
    """A file system of 24 MB."""
    directory.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=24m", "scf-test", str(directory)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root may mount a small file system")
    try:
        yield directory
    finally:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk") as directory:
        yield directory


@pytest.fixture
def product(disk: Path) -> Iterator[Product]:
    product = Product(disk / "data", "process")
    product.log_path = disk.parent / "control.log"
    product.start()
    product.create("kept", {"bootstrap": bash_runtime()})
    yield product
    product.stop()
    product.http.close()


def fill(disk: Path) -> Path:
    """The file that takes all the room."""
    path = disk / "filler"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(MB // 16))
        except OSError:
            return path


class Connection:
    """One kept connection of a client."""

    def __init__(self, product: Product) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", product.port, timeout=60)
        self._socket: object = None

    def close(self) -> None:
        self._http.close()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """The status and the answer; the connection is the same as before, or was told to end."""
        kinds = {name.replace("_", "-"): value for name, value in headers.items()}
        self._http.request(method, path, body, {"Content-Type": "application/json", **kinds})
        assert self._socket in (None, self._http.sock), "the connection was cut"
        answer = self._http.getresponse()
        found = json.loads(answer.read() or b"null")
        told_to_end = answer.headers.get("Connection") == "close"
        self._socket = None if told_to_end else self._http.sock
        return answer.status, found

    def create(self, name: str) -> tuple[int, Any]:
        form = (
            b'--x\r\nContent-Disposition: form-data; name="name"\r\n\r\n%b\r\n--x\r\n'
            b'Content-Disposition: form-data; name="code"; filename="c.zip"\r\n\r\n%b\r\n--x--\r\n'
        ) % (name.encode(), zip_of({"bootstrap": os.urandom(MB)}))
        kind = "multipart/form-data; boundary=x"
        return self.ask("POST", "/functions", form, Content_Type=kind)


INVOKE = "/functions/kept/invocations"
CHANGES = (
    ("PATCH", "/functions/kept", b'{"timeout": 5}'),
    ("POST", "/functions/kept/invocations?type=event", b"{}"),
)


def test_a_full_disk_is_told_of_on_connections_that_live(product: Product, disk: Path) -> None:
    with closing(Connection(product)) as connection:
        filler = fill(disk)
        for _ in range(3):
            event = b'{"n": 1}'
            assert connection.ask("POST", INVOKE, event) == (200, {"n": 1})
            refused = [connection.ask(*change) for change in CHANGES]
            for status, answer in (*refused, connection.create("new")):
                assert status == 500, answer
                assert "free some space" in answer["error"]["message"], answer
        filler.unlink()
        for change in CHANGES:
            assert connection.ask(*change)[0] in (200, 202)
        assert connection.create("new")[0] == 201


def test_with_a_full_disk_the_stop_is_bounded(product: Product, disk: Path) -> None:
    fill(disk)
    for _ in range(20):
        assert product.invoke("kept").status == 200
    process = product.process
    assert process is not None
    process.terminate()
    assert process.wait(25) in (0, 1)
    product.process = None


def test_what_a_full_disk_kept_from_the_database_is_there_when_it_has_room(
    product: Product, disk: Path
) -> None:
    filler = fill(disk)
    answers = [product.invoke("kept", {"n": n}) for n in range(50)]
    ids = [answer.response.headers["X-Scf-Request-Id"] for answer in answers]
    filler.unlink()
    for path in (f"/invocations/{request_id}" for request_id in ids):
        wait_until(partial(found, product, path))


def found(product: Product, path: str) -> bool:
    return product.http.get(path).status_code == 200
