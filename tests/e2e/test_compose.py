"""A newcomer's way: ``scripts/up``, Tencent's own clients, ``docker logs``, ``scripts/down``."""

from __future__ import annotations

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from tests.support.product import ROOT, bash_runtime, free_port, left_behind
from tests.support.waiting import wait_until
from tests.support.zips import zip_of

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = [pytest.mark.compose, pytest.mark.timeout(600)]

INSTALLATION = f"{os.environ.get('SCF_TEST_INSTALLATION', 'test')}-newcomer"
PORT = free_port()
URL = f"http://127.0.0.1:{PORT}"
USUAL = "http://127.0.0.1:9000"
#: Beside whatever runs at the usual port.
BESIDE = {**os.environ, "SCF_INSTALLATION": INSTALLATION, "SCF_PORT": str(PORT)}
EXAMPLE = ROOT / "examples" / "bash"
EVENT = '{"key1": "test value 1", "key2": "test value 2"}'
RESULT = f"Echoing request: '{EVENT}'"


def run(*command: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        timeout=540,
        **options,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def tccli() -> Path:
    """The command line client lives in an environment of its own: see scripts/test."""
    return Path(os.environ.get("SCF_TEST_TCCLI", ROOT / ".venv-tccli" / "bin" / "tccli"))


def start_up() -> None:
    # Without --quick the full image is built beside it, for minutes: test_images has that.
    run(ROOT / "scripts" / "up", "--detach", "--quick", env=BESIDE)


@pytest.fixture(scope="module")
def up() -> Iterator[None]:
    start_up()
    try:
        yield
    finally:
        run(ROOT / "scripts" / "down", env=BESIDE)
    assert left_behind(INSTALLATION) == []
    with pytest.raises(httpx.TransportError):
        httpx.get(f"{URL}/healthz", trust_env=False)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with demo.zip, as the example's scripts expect it."""
    place = tmp_path_factory.mktemp("demo")
    files = {name: (EXAMPLE / name).read_bytes() for name in ("index.sh", "bootstrap")}
    (place / "demo.zip").write_bytes(zip_of(files))
    for name in ("create.py", "invoke.py"):
        text = (EXAMPLE / name).read_text()
        assert f'ENDPOINT = "{USUAL}"' in text
        (place / name).write_text(text.replace(USUAL, URL))
    return place


def function_containers(name: str) -> list[str]:
    labels = (f"label=scf-sandbox={INSTALLATION}", f"label=scf-sandbox.function=default/{name}")
    filters = [word for label in labels for word in ("--filter", label)]
    listed = run("docker", "ps", *filters, "-q")
    return listed.stdout.split()


def wait_until_active(name: str) -> None:
    wait_until(
        lambda: (
            httpx.get(f"{URL}/functions/{name}", trust_env=False).json().get("status") == "Active"
        ),
        within_s=60,
    )


@pytest.mark.usefixtures("up")
class TestANewcomer:
    def test_creates_and_invokes_through_the_unmodified_python_sdk(self, demo: Path) -> None:
        created = run(sys.executable, "create.py", cwd=demo)
        assert list(json.loads(created.stdout)) == ["RequestId"]
        wait_until_active("CustomRuntime-Bash")
        answer = json.loads(run(sys.executable, "invoke.py", cwd=demo).stdout)
        result = answer["Result"]
        assert result["RetMsg"] == RESULT
        assert result["InvokeResult"] == 0
        assert result["ErrMsg"] == ""
        assert result["Log"] == ""
        assert result["MemUsage"] > 100_000  # anonymous and shared memory, no page cache
        assert result["BillDuration"] >= result["Duration"] > 0
        assert result["FunctionRequestId"] == answer["RequestId"]

    def test_sees_the_instance_reused_and_its_log_in_docker(self) -> None:
        def warm() -> bool:
            return any(
                view["served"] and view["function"] == "CustomRuntime-Bash"
                for view in httpx.get(f"{URL}/instances", trust_env=False).json()["instances"]
            )

        assert warm()
        answer = httpx.post(
            f"{URL}/functions/CustomRuntime-Bash/invocations", content=EVENT, trust_env=False
        )
        assert answer.text == RESULT
        assert answer.headers["X-Scf-Cold-Start"] == "false"
        logs = [
            run("docker", "logs", container).stdout
            for container in function_containers("CustomRuntime-Bash")
        ]
        assert any(log.count(f"got an event of {len(EVENT)} characters") == 2 for log in logs)

    def test_does_the_same_through_tccli(self, demo: Path) -> None:
        environment = {
            **os.environ,
            "HOME": str(demo),
            "TENCENTCLOUD_SECRET_ID": "SecretId",
            "TENCENTCLOUD_SECRET_KEY": "secretKey",
            "TENCENTCLOUD_REGION": "ap-guangzhou",
        }
        code = base64.b64encode((demo / "demo.zip").read_bytes()).decode()

        def scf(action: str, *more: str) -> dict[str, Any]:
            done = run(
                *(tccli(), "scf", action, "--endpoint", URL, "--FunctionName", "by-tccli"),
                *more,
                env=environment,
            )
            found: dict[str, Any] = json.loads(done.stdout)
            return found

        scf(
            *("CreateFunction", "--Runtime", "CustomRuntime", "--InitTimeout", "3"),
            *("--Timeout", "3", "--Code", json.dumps({"ZipFile": code})),
        )
        waiter = "{'expr':'Status','to':'Active','timeout':30,'interval':1}"
        assert scf("GetFunction", "--waiter", waiter)["Status"] == "Active"
        result = scf("Invoke", "--ClientContext", EVENT)["Result"]
        assert result["RetMsg"] == RESULT

    def test_does_the_same_through_curl_on_plain_rest(self, demo: Path) -> None:
        upload = f"code=@{demo / 'demo.zip'}"
        run("curl", "-fsS", "-F", "name=by-curl", "-F", upload, f"{URL}/functions")
        answer = run("curl", "-fsS", "-d", EVENT, f"{URL}/functions/by-curl/invocations")
        assert answer.stdout == RESULT

    def test_runs_on_the_systems_of_centos_7(self) -> None:
        bootstrap = (
            "#!/bin/bash\napi=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime\n"
            'curl -s -d " " $api/init/ready\nwhile true; do curl -s $api/invocation/next; '
            'curl -s -d "$(getconf GNU_LIBC_VERSION)" $api/invocation/response; done\n'
        )
        package = zip_of({"bootstrap": bootstrap})
        created = httpx.post(
            f"{URL}/functions",
            data={"name": "libc"},
            files={"code": ("code.zip", package)},
            trust_env=False,
            timeout=60,
        )
        assert created.status_code == 201, created.text
        answer = httpx.post(f"{URL}/functions/libc/invocations", trust_env=False, timeout=60)
        assert answer.text == "glibc 2.17"

    def test_cannot_reach_the_control_api_from_a_function(self) -> None:
        bootstrap = (
            "#!/bin/bash\napi=http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime\n"
            'curl -s -d " " $api/init/ready\nwhile true; do curl -s $api/invocation/next; '
            "code=$(curl -s -m 2 -o /dev/null -w '%{http_code}' http://$SCF_RUNTIME_API:CONTROL/healthz);"
            ' curl -s -d "$code" $api/invocation/response; done\n'
        )
        package = zip_of({"bootstrap": bootstrap.replace("CONTROL", str(PORT))})
        httpx.post(
            f"{URL}/functions",
            data={"name": "nosy", "timeout": "10"},
            files={"code": ("code.zip", package)},
            trust_env=False,
            timeout=60,
        )
        answer = httpx.post(f"{URL}/functions/nosy/invocations", trust_env=False, timeout=60)
        assert re.fullmatch("000", answer.text), answer.text

    def test_finds_everything_as_it_was_after_a_reboot_of_the_machine(self) -> None:
        before = httpx.get(f"{URL}/functions", trust_env=False).json()["total"]
        assert before
        mine = ("--filter", f"label=scf-sandbox={INSTALLATION}")
        containers = run("docker", "ps", "-q", *mine).stdout.split()
        run("docker", "kill", *containers)  # without a word, as when the power fails
        start_up()
        assert httpx.get(f"{URL}/functions", trust_env=False).json()["total"] == before
        address = f"{URL}/functions/by-curl/invocations"
        answer = httpx.post(address, content=EVENT, trust_env=False, timeout=60)
        assert answer.text == RESULT
        records = httpx.get(f"{URL}/functions/by-curl/invocations", trust_env=False).json()
        assert records["total"] == 2


def test_the_published_port_of_plain_compose_serves_as_well() -> None:
    installation, port = f"{os.environ.get('SCF_TEST_INSTALLATION', 'test')}-port", free_port()
    environment = {
        **os.environ,
        "COMPOSE_FILE": "compose.yaml",
        "SCF_INSTALLATION": installation,
        "SCF_PORT": str(port),
    }
    run(ROOT / "scripts" / "up", "--detach", "--quick", env=environment)
    try:
        shown = run("docker", "ps", "--filter", f"publish={port}", "--format", "{{.Names}}")
        assert shown.stdout.strip() == f"scf-sandbox-{installation}-control-1"
        url = f"http://127.0.0.1:{port}/functions"
        package = {"code": ("code.zip", zip_of({"bootstrap": bash_runtime()}))}
        with httpx.Client(trust_env=False, timeout=60) as client:
            assert client.post(url, data={"name": "port"}, files=package).status_code == 201
            assert client.post(f"{url}/port/invocations", content=EVENT).text == f"{EVENT}\n"
    finally:
        run(ROOT / "scripts" / "down", env=environment)
    assert left_behind(installation) == []
