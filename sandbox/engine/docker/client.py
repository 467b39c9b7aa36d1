"""A typed asynchronous client of the Docker API. The only module that imports ``docker``.

docker-py blocks, so each call runs in a thread of the client's own. Its errors become
``EngineError`` in one place (``_error_of``), by status first: nobody else reads the engine's texts.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, ParamSpec, TypeVar

from docker import APIClient
from docker.errors import APIError, DockerException, ImageNotFound
from docker.types import DriverConfig, IPAMConfig, IPAMPool, LogConfig, Mount, Ulimit
from docker.utils import kwargs_from_env

from sandbox import limits
from sandbox.errors import EngineError, EngineErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sandbox.engine.docker.options import ContainerOptions, VolumeMount

P = ParamSpec("P")
T = TypeVar("T")

#: How long one answer may take, seconds: a container start on a machine at its limit.
CALL_TIMEOUT_S = 120
#: The option of a bridge that says whether its ends reach each other.
ICC = "com.docker.network.bridge.enable_icc"
#: What an image that compose has built brings along: compose would take our containers for its own.
NOT_OF_COMPOSE = dict.fromkeys(
    ("com.docker.compose.project", "com.docker.compose.service", "com.docker.compose.version"), ""
)


class _Refusal(NamedTuple):
    """An answer that means ``kind``: its status, and a part of its text where that decides."""

    status: int
    text: str
    kind: EngineErrorKind


#: The first that fits counts. Seen with Docker 20.10; newer ones answer 400 or 409 for an overlap.
_REFUSALS = (
    _Refusal(404, "/.scf/init", EngineErrorKind.NO_INIT),
    _Refusal(400, "/.scf/init", EngineErrorKind.NO_INIT),
    _Refusal(500, "/.scf/init", EngineErrorKind.NO_INIT),
    _Refusal(400, "unable to find user", EngineErrorKind.NO_USER),
    _Refusal(500, "unable to find user", EngineErrorKind.NO_USER),
    _Refusal(404, "network scf-", EngineErrorKind.NO_NETWORK),
    _Refusal(404, "", EngineErrorKind.GONE),
    _Refusal(409, "already in progress", EngineErrorKind.REMOVING),
    _Refusal(409, "overlap", EngineErrorKind.OVERLAP),
    _Refusal(409, "is in use", EngineErrorKind.IN_USE),
    _Refusal(409, "", EngineErrorKind.CONFLICT),
    _Refusal(403, "active endpoints", EngineErrorKind.IN_USE),
    _Refusal(403, "overlap", EngineErrorKind.OVERLAP),
    _Refusal(403, "already in use", EngineErrorKind.OVERLAP),
    _Refusal(400, "overlap", EngineErrorKind.OVERLAP),
    _Refusal(500, "overlap", EngineErrorKind.OVERLAP),
    _Refusal(500, "already in use", EngineErrorKind.OVERLAP),
    _Refusal(502, "", EngineErrorKind.UNREACHABLE),
    _Refusal(504, "", EngineErrorKind.UNREACHABLE),
)


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What an engine says of itself. ``node`` is its machine's name, ``cgroup`` 1 or 2."""

    node: str
    version: str
    memory_mb: int
    cgroup: str
    storage: str


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """An image's id, all its names (``repository:tag``), and its labels."""

    id: str
    tags: tuple[str, ...]
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """A container's image, its named volumes by the path where they are mounted, and its address
    in each network, by the network's name."""

    image: str
    volumes: dict[str, str]
    addresses: dict[str, str]


@dataclass(frozen=True, slots=True)
class NetworkFacts:
    """A network's IPv4 gateway, and whether its ends reach each other."""

    gateway: str
    closed: bool


class DockerClient:
    """One engine, at ``DOCKER_HOST`` or the default socket. Every method raises ``EngineError``.

    Objects are named by id or by name. What is listed is found by labels (``name=value``), all of
    which must fit.
    """

    def __init__(self, threads: int) -> None:
        """``threads`` is how many calls are under way at a time."""
        try:
            self._api = APIClient(**kwargs_from_env(), timeout=CALL_TIMEOUT_S)
        except (DockerException, OSError) as error:
            raise EngineError(
                f"no container engine answers: start one (scripts/engine), or set"
                f" SCF_ENGINE=process to do without ({error})",
                EngineErrorKind.UNREACHABLE,
            ) from error
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="docker")

    def close(self) -> None:
        """Give up the connections. Calls under way end by themselves."""
        self._api.close()
        self._threads.shutdown(wait=False)

    async def facts(self) -> EngineFacts:
        """What the engine says of itself and its machine."""
        found = await self._run(self._api.info)
        return EngineFacts(
            node=found["Name"],
            version=found["ServerVersion"],
            memory_mb=found["MemTotal"] // limits.MIB,
            cgroup=found.get("CgroupVersion", "1"),
            storage=found["Driver"],
        )

    async def image(self, image: str) -> ImageFacts:
        """What the image of that name or id is; ``NO_IMAGE`` when it is not on the engine."""
        found = await self._run(self._api.inspect_image, image)
        tags = tuple(found.get("RepoTags") or ())
        return ImageFacts(found["Id"], tags, found["Config"].get("Labels") or {})

    # ------------------------------------------------------------------ containers

    async def create_container(self, options: ContainerOptions) -> str:
        """The id of a container that is not started."""
        return await self._run(self._create, options)

    async def start_container(self, container: str) -> None:
        """Run its command; returns when the process was started."""
        await self._run(self._api.start, container)

    async def remove_container(self, container: str) -> None:
        """Kill and remove. Returns before the engine has let go of its network and volumes."""
        await self._run(self._api.remove_container, container, force=True)

    async def container_ids(self, *labels: str) -> list[str]:
        """The containers that carry these labels, started or not."""
        found = await self._run(self._api.containers, all=True, filters={"label": list(labels)})
        return [item["Id"] for item in found]

    async def container_facts(self, container: str) -> ContainerFacts:
        """What it was made from."""
        found = await self._run(self._api.inspect_container, container)
        volumes = {m["Destination"]: m["Name"] for m in found["Mounts"] if m["Type"] == "volume"}
        networks = found["NetworkSettings"]["Networks"]
        addresses = {name: end["IPAddress"] for name, end in networks.items()}
        return ContainerFacts(found["Image"], volumes, addresses)

    async def container_labels(self, container: str) -> dict[str, str]:
        """The labels of a container; ``GONE`` where there is none."""
        found = await self._run(self._api.inspect_container, container)
        return found["Config"].get("Labels") or {}

    async def is_running(self, container: str) -> bool:
        """False also where there is none."""
        try:
            found = await self._run(self._api.inspect_container, container)
        except EngineError as error:
            if error.kind is EngineErrorKind.GONE:
                return False
            raise
        return bool(found["State"]["Running"])

    async def any_running(self, *labels: str) -> bool:
        """Whether one of the containers that carry these labels runs."""
        return bool(await self._run(self._api.containers, filters={"label": list(labels)}))

    async def last_line(self, container: str) -> str:
        """What a container has written last; empty where the engine cannot tell."""
        try:
            found: bytes = await self._run(self._api.logs, container, tail=1)
        except EngineError:
            return ""
        return found.decode("utf-8", "replace").strip()

    async def wait(self, container: str) -> int:
        """The exit code of a container's process, when it has ended."""
        found = await self._run(self._api.wait, container)
        code: int = found["StatusCode"]
        return code

    async def output(self, container: str) -> str:
        """All that a container has written."""
        found: bytes = await self._run(self._api.logs, container)
        return found.decode("utf-8", "replace")

    async def put_archive(self, container: str, path: str, pieces: Iterable[bytes]) -> None:
        """Unpack a tar, given in pieces, to a directory of a container."""
        await self._run(self._api.put_archive, container, path, iter(pieces))

    # ------------------------------------------------------------------ volumes

    async def create_volume(
        self, name: str, labels: dict[str, str], options: dict[str, str] | None = None
    ) -> dict[str, str]:
        """Make a volume; one of that name that is there already stays as it is. ``options`` name a
        file system to be mounted: ``type``, ``device``, and ``o`` for the options of mount. The
        labels that it has."""
        made = await self._run(self._api.create_volume, name, driver_opts=options, labels=labels)
        return made.get("Labels") or {}

    async def labels_of_volume(self, name: str) -> dict[str, str]:
        """``GONE`` where there is none."""
        found = await self._run(self._api.inspect_volume, name)
        return found.get("Labels") or {}

    async def remove_volume(self, name: str) -> None:
        """``IN_USE`` while a container has it, started or not."""
        await self._run(self._api.remove_volume, name, force=True)

    async def volume_names(self, *labels: str) -> list[str]:
        """The volumes that carry these labels."""
        found = await self._run(self._api.volumes, filters={"label": list(labels)})
        return [item["Name"] for item in found["Volumes"] or []]

    async def volume_labels(self, *labels: str) -> list[dict[str, str]]:
        """All labels of each volume that carries these."""
        found = await self._run(self._api.volumes, filters={"label": list(labels)})
        return [item.get("Labels") or {} for item in found["Volumes"] or []]

    # ------------------------------------------------------------------ networks

    async def create_network(
        self, name: str, subnet: str, gateway: str, labels: dict[str, str], *, device: str
    ) -> str:
        """The id of a bridge with these IPv4 addresses, on which no end reaches another.

        ``device`` is its name on the engine's machine. It has no IPv6, link-local included.
        """
        ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=subnet, gateway=gateway)])
        created = await self._run(
            self._api.create_network,
            name,
            driver="bridge",
            ipam=ipam,
            labels=labels,
            enable_ipv6=False,
            options={
                ICC: "false",
                "com.docker.network.bridge.name": device,
            },
        )
        network_id: str = created["Id"]
        return network_id

    async def remove_network(self, network: str) -> None:
        """``IN_USE`` while a running container has an end in it."""
        await self._run(self._api.remove_network, network)

    async def network_facts(self, network: str) -> NetworkFacts:
        """What a bridge was made with."""
        found = await self._run(self._api.inspect_network, network)
        gateways = [config.get("Gateway", "") for config in found["IPAM"]["Config"] or []]
        gateway = next((found for found in gateways if "." in found), "")
        return NetworkFacts(gateway, (found["Options"] or {}).get(ICC) == "false")

    async def network_ids(self, *labels: str) -> list[str]:
        """The networks that carry these labels."""
        found = await self._run(self._api.networks, filters={"label": list(labels)})
        return [item["Id"] for item in found]

    # ------------------------------------------------------------------ inside

    async def _run(self, call: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(call, *args, **kwargs))
        except (DockerException, OSError) as error:
            raise _error_of(error) from error

    def _create(self, options: ContainerOptions) -> str:
        created = self._api.create_container(
            options.image,
            name=options.name or None,
            command=list(options.command),
            entrypoint=[],
            user=options.user or None,
            working_dir=options.working_dir or None,
            environment=dict(options.environment),
            labels={**NOT_OF_COMPOSE, **options.labels},
            networking_config=self._networking(options),
            host_config=self._host_config(options),
        )
        container_id: str = created["Id"]
        return container_id

    def _networking(self, options: ContainerOptions) -> Any:
        if options.endpoint is None:
            return None
        address = options.endpoint.address
        # The published types know a single endpoint where the library takes one per network.
        endpoints: Any = {
            options.endpoint.network: self._api.create_endpoint_config(ipv4_address=address or None)
        }
        return self._api.create_networking_config(endpoints)

    def _host_config(self, options: ContainerOptions) -> Any:
        """Leaves out what is empty. Never more rights than the options say."""
        wanted: dict[str, Any] = {
            "read_only": options.read_only,
            "mounts": [_mount(mount) for mount in options.mounts],
            "tmpfs": dict(options.tmpfs),
            "shm_size": options.shm_bytes,
            "cpu_shares": options.cpu_shares,
            "pids_limit": options.pids,
            "ulimits": [
                Ulimit(name=name, soft=most, hard=most) for name, most in options.limits.items()
            ],
            "extra_hosts": dict(options.extra_hosts),
            "sysctls": dict(options.sysctls),
            "cap_add": list(options.capabilities),
            "device_cgroup_rules": list(options.device_rules),
        }
        if options.memory_mb:
            wanted["mem_limit"] = wanted["memswap_limit"] = f"{options.memory_mb}m"
        if options.unprivileged:
            wanted |= {"cap_drop": ["ALL"], "security_opt": ["no-new-privileges"]}
        wanted["network_mode"] = options.network_mode
        if options.endpoint is not None:
            wanted["network_mode"] = options.endpoint.network
        if options.log_driver:
            wanted["log_config"] = LogConfig(type=options.log_driver)
        elif options.log_files:
            sizes = {"max-size": f"{options.log_file_mb}m", "max-file": f"{options.log_files}"}
            wanted["log_config"] = LogConfig(type="json-file", config=sizes)
        # No init of the engine's, whatever its own default: ours is the first process.
        return self._api.create_host_config(init=False, **{k: v for k, v in wanted.items() if v})


def _mount(mount: VolumeMount) -> Mount:
    if mount.volume.startswith("/"):
        return Mount(mount.target, mount.volume, "bind", read_only=mount.read_only)
    options = DriverConfig("local", dict(mount.options)) if mount.options else None
    return Mount(
        mount.target,
        mount.volume,
        "volume",
        read_only=mount.read_only,
        no_copy=True,
        labels=dict(mount.labels),
        driver_config=options,
    )


def _error_of(error: DockerException | OSError) -> EngineError:
    """The one translation of the engine's errors."""
    if isinstance(error, ImageNotFound):
        message = f"{error.explanation}: run scripts/images, or docker compose build"
        return EngineError(message, EngineErrorKind.NO_IMAGE)
    if isinstance(error, APIError):
        message = f"the container engine refused: {error}"
        return EngineError(message, _kind_of(error.status_code, str(error.explanation or "")))
    if isinstance(error, OSError):  # of the connection; requests' own errors are OSErrors
        message = f"the container engine does not answer: see that `docker info` works ({error})"
        return EngineError(message, EngineErrorKind.UNREACHABLE)
    return EngineError(f"the container engine refused: {error}")


def _kind_of(status: int | None, text: str) -> EngineErrorKind:
    text = text.lower()
    for refusal in _REFUSALS:
        if refusal.status == status and refusal.text in text:
            return refusal.kind
    return EngineErrorKind.REFUSED
