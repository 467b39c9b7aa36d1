"""The benchmark's own containers. They have the image and the limits of instances, and one
label."""

from __future__ import annotations

import json
import socket
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

IMAGE = "scf-sandbox/centos7"

#: The limits of an instance of 128 MB, as options of ``docker run``. Without Docker's own init:
#: an instance's first process is ours.
LIMITS = (
    *("--read-only", "--tmpfs", "/tmp:size=536870912,mode=1777,exec"),
    *("--memory", "128m", "--memory-swap", "128m", "--cpu-shares", "102"),
    *("--pids-limit", "1024", "--ulimit", "nofile=1024:1024", "--ulimit", "core=0:0"),
    *("--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--user", "qcloud"),
)


class EngineFailed(Exception):
    """The container engine refused a request, or does not answer."""


def docker(*arguments: str) -> str:
    """Run the docker client and return its output. ``EngineFailed`` has its error text."""
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=120)
    if done.returncode:
        raise EngineFailed(f"docker {arguments[0]}: {done.stderr.strip()}")
    return done.stdout.strip()


@dataclass(frozen=True)
class Network:
    """A network of the benchmark's own, and the address at which its containers reach the host."""

    name: str
    gateway: str


class Containers:
    """The benchmark's containers and networks. All have the label ``scf-sandbox=<label>``."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._network: Network | None = None

    @property
    def network(self) -> Network:
        """Made when it is first asked for."""
        if self._network is None:
            docker("network", "create", "--label", f"scf-sandbox={self.label}", self.label)
            facts = json.loads(docker("network", "inspect", self.label))
            self._network = Network(self.label, facts[0]["IPAM"]["Config"][0]["Gateway"])
        return self._network

    def options(self, code: Path, environment: dict[str, str]) -> list[str]:
        """Options of ``docker run`` and ``docker create`` that every container here has."""
        return [
            *("--label", f"scf-sandbox={self.label}", "--network", self.network.name),
            *("--volume", f"{code}:/var/user:ro", "--workdir", "/var/user"),
            *(f"--env={name}={value}" for name, value in environment.items()),
        ]

    def start(
        self,
        code: Path,
        environment: dict[str, str],
        *more: str,
        command: tuple[str, ...] = ("./bootstrap",),
    ) -> str:
        """``docker run --detach``: the container's id."""
        how = ("--detach", "--pull", "never")
        return docker("run", *how, *self.options(code, environment), *more, IMAGE, *command)


def sweep(label: str) -> None:
    """Remove every container, network and volume of one label."""
    chosen = ("--filter", f"label=scf-sandbox={label}", "--quiet")
    for listed, remove in (
        (("ps", "--all"), ("rm", "--force", "--volumes")),
        (("network", "ls"), ("network", "rm")),
        (("volume", "ls"), ("volume", "rm", "--force")),
    ):
        found = docker(*listed, *chosen).split()
        if found:
            docker(*remove, *found)


def free_port(address: str = "127.0.0.1") -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        port: int = probe.getsockname()[1]
        return port
