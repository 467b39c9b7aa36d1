"""Functions of a sandbox that compose runs cannot reach each other, whatever the engine does."""

from __future__ import annotations

import asyncio
import os
import subprocess
from typing import TYPE_CHECKING

import httpx
import pytest

from tests.engine.isolation_kit import (
    PORT,
    SECONDS,
    UNPACK,
    Here,
    assert_unreached,
    compiled_reach,
    turmoil,
)
from tests.support.product import ROOT, bash_runtime, free_port, left_behind
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

INSTALLATION = f"{os.environ.get('SCF_TEST_INSTALLATION', 'test')}-doors"
IMAGE = "scf-sandbox/centos7"
#: Listens from its initialisation on; an event is a command, and the answer what it printed.
LISTEN = f"{UNPACK}; /tmp/reach listen {PORT} >/tmp/came & until [ -s /tmp/came ]; do :; done"
RUN = """eval "$(sed 's/^"//; s/"$//' <<<"$1")" """


@pytest.fixture(
    params=["compose.yaml", "compose.yaml:compose.host.yaml"], ids=["published", "machine"]
)
def sandbox(request: pytest.FixtureRequest) -> Iterator[str]:
    """A sandbox by compose: its address."""
    port = free_port()
    environment = {
        **os.environ,
        "COMPOSE_FILE": request.param,
        "SCF_INSTALLATION": INSTALLATION,
        "SCF_PORT": str(port),
    }
    up = [str(ROOT / "scripts" / "up"), "--detach", "--quick"]
    subprocess.run(up, env=environment, check=True, timeout=540)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        subprocess.run([ROOT / "scripts" / "down"], env=environment, check=True, timeout=120)
    assert left_behind(INSTALLATION) == []


def control_addresses() -> list[str]:
    """The control plane's, where its container has a network of its own."""
    what = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    control = f"scf-sandbox-{INSTALLATION}-control-1"
    command = ["docker", "inspect", "--format", what, control]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


async def test_no_function_reaches_another_by_compose(sandbox: str, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {
        "bootstrap": bash_runtime(RUN, LISTEN),
        "reach": compiled_reach(tmp_path),
    }
    package = {"code": ("code.zip", zip_of(files))}
    patience = SECONDS + 60
    async with httpx.AsyncClient(base_url=sandbox, trust_env=False, timeout=patience) as client:

        async def run(name: str, command: str) -> list[str]:
            answer = await client.post(f"/functions/{name}/invocations", json=command)
            return answer.text.splitlines()

        for name in ("victim", "intruder"):
            fields = {"name": name, "timeout": str(int(patience))}
            created = await client.post("/functions", data=fields, files=package)
            assert created.status_code == 201, created.text
        [said] = await run("victim", "cat /tmp/came")
        attempt = Here.said(said).attempt(SECONDS)
        async with turmoil(INSTALLATION, IMAGE) as counted, asyncio.TaskGroup() as group:
            # The victim is kept busy, so that the next event for it makes a sibling.
            held = group.create_task(run("victim", f"sleep {SECONDS + 10}; cat /tmp/came"))
            tries = [group.create_task(run(name, attempt)) for name in ("victim", "intruder")]
            doors = [
                group.create_task(run("intruder", f"/tmp/reach try 9000 {SECONDS} {address}"))
                for address in control_addresses()
            ]
    print(f"{counted.rounds} networks came and went")
    assert counted.rounds >= SECONDS / 10
    for attempts in tries:
        assert_unreached(attempts.result(), SECONDS)
    for attempts in doors:
        assert_unreached(attempts.result(), SECONDS, ("tcp", "udp"))
    assert held.result() == [said]
