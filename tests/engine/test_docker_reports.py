"""What the shell around a bootstrap reports and passes on, whatever the function does with it."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from sandbox.instance.environment import FIXED
from tests.engine.engine_kit import Watcher
from tests.engine.rigs import open_rig
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engine.engine_kit import Rig

pytestmark = pytest.mark.engine


async def test_what_a_function_writes_to_the_containers_stderr_is_no_report(
    docker_rig: Rig,
) -> None:
    end, lines = await docker_rig.run(
        "echo 'bootstrap ended: soon' >/proc/1/fd/2; echo 'bootstrap ended: ' >/proc/1/fd/2;"
        " head -c 300000 /dev/zero >/proc/1/fd/2; echo said; exit 9"
    )
    assert (end.code, lines) == (9, ["said"])


async def test_an_engine_configured_for_a_proxy_keeps_the_runtime_api_off_it(
    tmp_path: Path, installation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = "http://127.0.0.1:9"
    (tmp_path / "config.json").write_text(
        json.dumps({"proxies": {"default": {"httpProxy": proxy, "noProxy": "example.test"}}})
    )
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    async with open_rig("docker", tmp_path, installation) as rig:
        end, lines = await rig.run(
            'echo "$http_proxy"; curl -s -o /dev/null -w "%{http_code}"'
            " http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/"
        )
    assert end.code == 0
    assert lines == [proxy, "404"]


async def test_a_bootstrap_that_is_no_shell_sees_shell_level_and_host_name(
    docker_rig: Rig,
) -> None:
    watcher = Watcher()
    package = {"bootstrap": "#!/bin/cat /proc/self/environ\n"}
    digest = docker_rig.packages.save(zip_of(package)).digest
    container = await docker_rig.engine.launch(docker_rig.spec(digest), watcher)
    container.release()
    await watcher.end()
    pairs = (pair.partition("=") for pair in watcher.data.decode().split("\0"))
    environment = {name: value for name, _, value in pairs}
    assert environment["SHLVL"] == "3"
    assert re.fullmatch("[0-9a-f]{12}", environment["HOSTNAME"])
    assert {**environment, **FIXED, "SHLVL": "3", "_": environment["_"]} == environment
    await container.destroy()
