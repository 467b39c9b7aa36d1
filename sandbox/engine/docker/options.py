"""What a container is made with, as plain data: the client turns it into the engine's own form."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


@dataclass(frozen=True, slots=True)
class VolumeMount:
    """A named volume at a path of the container, or a directory of the machine's (``/...``).

    An empty volume is not filled from the image. An engine makes a volume that somebody has removed
    anew, without a word: with these ``labels``, and of the file system that ``options`` name
    (``DockerClient.create_volume``).
    """

    volume: str
    target: str
    read_only: bool = True
    labels: Mapping[str, str] = field(default_factory=dict)
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The container's end in one network, with an IPv4 address of the network's; the engine chooses
    one where it is empty."""

    network: str
    address: str


@dataclass(frozen=True, slots=True)
class ContainerOptions:
    """One container to be made. An empty value leaves the engine's default.

    ``memory_mb`` limits memory and swap together. ``tmpfs`` maps a path to mount options;
    ``extra_hosts`` a host name to an address; ``limits`` a resource (``nofile``) to its soft and
    hard limit. ``network_mode`` is for a container without an ``endpoint``. ``shm_bytes`` is the
    size of ``/dev/shm``, which counts as the container's memory. ``sysctls`` are of
    the container's own network namespace: never set any where it joins another's.
    ``unprivileged`` drops all capabilities but the named ones, and ``device_rules`` allow devices
    (``b 7:* rwm``). ``log_files`` files of ``log_file_mb`` MB keep the output, unless
    ``log_driver`` is ``none``.
    """

    image: str
    command: Sequence[str]
    labels: Mapping[str, str]
    name: str = ""
    user: str = ""
    working_dir: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    mounts: Sequence[VolumeMount] = ()
    endpoint: Endpoint | None = None
    network_mode: str = ""
    extra_hosts: Mapping[str, str] = field(default_factory=dict)
    read_only: bool = False
    tmpfs: Mapping[str, str] = field(default_factory=dict)
    shm_bytes: int = 0
    memory_mb: int = 0
    cpu_shares: int = 0
    pids: int = 0
    limits: Mapping[str, int] = field(default_factory=dict)
    unprivileged: bool = False
    capabilities: Sequence[str] = ()
    device_rules: Sequence[str] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
    log_driver: str = ""
    log_files: int = 0
    log_file_mb: int = 10
