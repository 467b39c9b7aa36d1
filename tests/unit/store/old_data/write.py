"""Makes the data of this directory: ``python -m tests.unit.store.old_data.write CHECKOUT``.

``CHECKOUT`` is a work tree of the commit that is to write it. Its server is started on the process
engine, used over HTTP, and killed while events run, wait and are tried again, and a function is
being updated.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx

from tests.support.waiting import DEADLINE_S, wait_until
from tests.unit.store.old_data.packages import zip_of

HERE = Path(__file__).parent

#: The server of the checkout; the second preparation of the function "updating" never ends.
SERVER = """
import asyncio, runpy
from sandbox.pool import Pool
prepare, seen = Pool.prepare, []
async def held(self, function, version):
    if function.name == "updating":
        seen.append(version)
        if len(seen) > 1:
            await asyncio.Event().wait()
    await prepare(self, function, version)
Pool.prepare = held
runpy.run_module("api", run_name="__main__")
"""


class Server:
    """The server of a checkout, and calls of its cloud API."""

    def __init__(self, checkout: Path, data: Path) -> None:
        ports = [self._free_port() for _ in range(2)]
        settings = {
            "SCF_ENGINE": "process",
            "SCF_DATA_DIR": str(data),
            "SCF_PORT": str(ports[0]),
            "SCF_RUNTIME_PORT": str(ports[1]),
            "SCF_INSTALLATION": "old-data",
            "SCF_STANDBY": "0",
        }
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{ports[0]}", timeout=DEADLINE_S)
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER], cwd=checkout, env={**os.environ, **settings}
        )
        wait_until(self._healthy)

    def call(self, action: str, **params: Any) -> dict[str, Any]:
        """One request; fails unless it is answered well."""
        response = self.client.post("/", json=params, headers={"X-TC-Action": action})
        answer: dict[str, Any] = response.json()["Response"]
        assert "Error" not in answer, (action, answer)
        return answer

    def create(self, name: str, package: str, namespace: str = "default", **params: Any) -> None:
        """Create a function, and wait until it is settled."""
        given = {"Runtime": "CustomRuntime", "Code": {"ZipFile": text_of(package)}, **params}
        self.call("CreateFunction", FunctionName=name, Namespace=namespace, **given)
        self.settled(name, namespace)

    def settled(self, name: str, namespace: str = "default", **params: Any) -> None:
        """Wait until a function is Active."""
        where = {"FunctionName": name, "Namespace": namespace, **params}
        wait_until(lambda: self.call("GetFunction", **where)["Status"] == "Active")

    def invoke(self, name: str, namespace: str = "default", **params: Any) -> str:
        """Invoke a function; returns the request id."""
        where = {"FunctionName": name, "Namespace": namespace, **params}
        request_id: str = self.call("Invoke", **where)["Result"]["FunctionRequestId"]
        return request_id

    def kill(self) -> None:
        """End it as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def _healthy(self) -> bool:
        try:
            return self.client.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    @staticmethod
    def _free_port() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
            return port


def text_of(package: str) -> str:
    """A package as requests carry it."""
    return base64.b64encode(zip_of(package)).decode()


def fill(server: Server) -> None:
    """Everything that a data directory can hold."""
    queue = {"Type": "CMQ-QUEUE", "Name": "dead", "FilterType": "NEEDED"}
    server.call("CreateNamespace", Namespace="stage", Description="for later")
    for number in (1, 2):
        server.call(
            "PublishLayerVersion",
            LayerName="words",
            CompatibleRuntimes=["CustomRuntime"],
            Content={"ZipFile": text_of(f"layer-{number}")},
            Description=f"words {number}",
        )
    server.create(
        "echo",
        "echo",
        Description="says it again",
        MemorySize=256,
        Timeout=7,
        Environment={"Variables": [{"Key": "GREETING", "Value": "hello"}]},
        Layers=[{"LayerName": "words", "LayerVersion": 2}],
        VpcConfig={"VpcId": "vpc-1", "SubnetId": "subnet-1"},
        ClsTopicId="topic-1",
        TraceEnable="FALSE",
        Tags=[{"Key": "team", "Value": "a"}],
    )
    for published in ("1", "2"):
        server.call("PublishVersion", FunctionName="echo", Description=f"version {published}")
        server.settled("echo", Qualifier=published)
    weights = [{"Version": "2", "Weight": 0.25}]
    server.call(
        "CreateAlias",
        FunctionName="echo",
        Name="live",
        FunctionVersion="1",
        RoutingConfig={"AdditionalVersionWeights": weights},
    )
    rule = {"Version": "1", "Key": "invoke.headers.user", "Method": "exact", "Expression": "me"}
    server.call(
        "CreateAlias",
        FunctionName="echo",
        Name="canary",
        FunctionVersion="2",
        RoutingConfig={"AddtionVersionMatchs": [rule]},
    )
    server.call("PutReservedConcurrencyConfig", FunctionName="echo", ReservedConcurrencyMem=1024)

    lasting = {"AsyncRunEnable": "TRUE", "TraceEnable": "TRUE"}
    server.create("traced", "echo", "stage", DeadLetterConfig=queue, **lasting)
    server.create(
        "untraced", "echo", AsyncRunEnable="TRUE", DeadLetterConfig={"Type": "", "Name": ""}
    )
    server.create("letters", "failing", DeadLetterConfig=queue)
    server.create("dropping", "failing")
    server.create("waiting", "failing")
    server.create("stuck", "stuck", Timeout=900, DeadLetterConfig=queue)
    server.create("not-executable", "not-executable")
    server.create("updating", "echo", TraceEnable="TRUE", DeadLetterConfig=queue)
    for name in ("letters", "dropping"):
        config = {"RetryConfig": [{"RetryNum": 0}], "MsgTTL": 3600}
        server.call("UpdateFunctionEventInvokeConfig", FunctionName=name, AsyncTriggerConfig=config)


def use(server: Server, database: Path) -> None:
    """Events of all kinds, in all states; the last one is in the journal only."""
    server.invoke("echo", ClientContext='{"n":1}')
    server.invoke("echo", ClientContext='{"n":2}', Qualifier="live")
    server.invoke("not-executable", ClientContext="{}")
    server.invoke("traced", "stage", ClientContext='{"n":3}')
    server.invoke("untraced", ClientContext='{"n":4}')
    for name in ("letters", "dropping", "waiting", "stuck"):
        server.invoke(name, ClientContext=f'{{"from":"{name}"}}', InvocationType="Event")
    server.invoke("stuck", ClientContext='{"second":true}', InvocationType="Event")
    wait_until(lambda: count(database, "dead_letters") == 2)
    wait_until(lambda: count(database, "event_states WHERE status = 'FINISHED'") == 1)
    wait_until(lambda: count(database, "events WHERE retry_num = 1") == 1)
    wait_until(lambda: count(database, "events") == 3)
    server.call(
        "UpdateFunctionConfiguration",
        FunctionName="updating",
        MemorySize=512,
        DeadLetterConfig={"Type": "CMQ-TOPIC", "Name": "other", "FilterType": ""},
    )
    # So that what is invoked now is not in the database when the server is killed.
    wait_until(lambda: count(database, "invocations WHERE status_code = 202") > 0)
    server.invoke("echo", ClientContext='{"n":5}')


def count(database: Path, what: str) -> int:
    """How many rows there are."""
    with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
        number: int = connection.execute(f"SELECT count(*) FROM {what}").fetchone()[0]
        return number


def main(checkout: Path) -> None:
    """Write ``scf.sql`` and ``journal.jsonl``."""
    with tempfile.TemporaryDirectory() as directory:
        data = Path(directory) / "data"
        server = Server(checkout, data)
        try:
            fill(server)
            use(server, data / "scf.db")
        finally:
            server.kill()
        with closing(sqlite3.connect(data / "scf.db")) as connection:
            (HERE / "scf.sql").write_text("\n".join(connection.iterdump()) + "\n")
        segments = sorted(data.glob("journal.*"), key=lambda path: int(path.suffix[1:]))
        lines = b"".join(path.read_bytes().replace(b"\0", b"") for path in segments)
        (HERE / "journal.jsonl").write_bytes(lines)
        kept = {path.stem for path in (data / "packages").glob("*.zip")}
        print(f"{len(lines.splitlines())} lines of the journal, {len(kept)} packages")


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute())
