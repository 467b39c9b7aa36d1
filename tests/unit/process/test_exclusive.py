"""A sandbox that cannot have its port or its data directory ends before it does anything."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from api.process.exclusive import claim_directory, claim_port
from sandbox.errors import PlatformError

ROOT = Path(__file__).parents[3]


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_taken_is_refused_with_what_to_do() -> None:
    with claim_port("127.0.0.1", 0) as first:
        port = first[0].getsockname()[1]
        again = claim_port("127.0.0.1", port)
        with pytest.raises(PlatformError, match=f"port {port} .*SCF_PORT"), again:
            pass
    with claim_port("127.0.0.1", port):
        pass


@pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")
def test_loopback_is_that_of_ipv6_too() -> None:
    with claim_port("127.0.0.1", 0) as listeners:
        (host, port), (host_6, port_6, *_) = (each.getsockname() for each in listeners)
        assert (host, host_6, port_6) == ("127.0.0.1", "::1", port)
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as other:
        port = other.getsockname()[1]
        taken = claim_port("127.0.0.1", port)
        with pytest.raises(PlatformError, match=f"listen on ::1 port {port}"), taken:
            pass


def test_a_host_that_does_not_exist_is_refused_with_what_to_do() -> None:
    with pytest.raises(PlatformError, match="SCF_HOST"), claim_port("300.1.1.1", 9000):
        pass


def test_a_data_directory_belongs_to_one_sandbox_at_a_time(tmp_path: Path) -> None:
    with (
        claim_directory(tmp_path / "new" / "data"),
        pytest.raises(PlatformError, match="another sandbox uses"),
    ):
        claim_directory(tmp_path / "new" / "data")
    claim_directory(tmp_path / "new" / "data").close()


def test_a_data_directory_that_is_a_file_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(PlatformError, match="SCF_DATA_DIR"):
        claim_directory(tmp_path / "data")


def started(tmp_path: Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """The control plane, which is expected to end by itself."""
    environment = {**os.environ, "SCF_ENGINE": "process", "SCF_DATA_DIR": str(tmp_path / "data")}
    return subprocess.run(
        [sys.executable, "-m", "api"],
        env={**environment, **settings},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_a_control_plane_without_its_port_ends_with_one_line_and_has_swept_nothing(
    tmp_path: Path,
) -> None:
    swept = tmp_path / "data" / "process" / "of-another-run"
    swept.mkdir(parents=True)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = started(tmp_path, SCF_PORT=str(taken.getsockname()[1]))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "SCF_PORT" in done.stderr
    assert "sandbox_started" not in done.stderr
    assert swept.is_dir()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"SCF_PORT": "abc"}, "SCF_PORT"),
        ({"SCF_CREDENTIALS": "secret"}, "SCF_CREDENTIALS"),
        ({"SCF_DATABASE_URL": "nonsense"}, "SCF_DATABASE_URL"),
        ({"SCF_DATABASE_URL": "oracle://x/y"}, "SCF_DATABASE_URL"),
    ],
)
def test_a_wrong_setting_ends_the_control_plane_with_one_line(
    tmp_path: Path, settings: dict[str, str], said: str
) -> None:
    done = started(tmp_path, **{"SCF_PORT": "39999", **settings})
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr
